"""A tuned model in vLLM gives the same greedy answers as in transformers."""

import json
from datetime import date
from shutil import copytree

import pytest

from preceptor.compute.request import Request
from preceptor.study.fields import Sampling
from preceptor.study.schema import Base
from resources.evaluation import EvaluationResource
from tests.endpoint.vllm_server import DEMO, TEACHER

pytestmark = pytest.mark.slow
pytest.importorskip("vllm")
COUNT = 24


# The prompts grow with the day of the month.
DATED = "{{ 'a ' * (strftime_now('%d') | int) }}"


def answers(engine: str, folder: str, day: date) -> list[tuple[tuple[str, ...], int | None]]:
    lines = (DEMO / "benchmark.jsonl").read_text().splitlines()[:COUNT]
    requests = [Request(None, (json.loads(line)["instruction"],), seed=n) for n, line in enumerate(lines)]
    resource = EvaluationResource(engine=engine, device="cpu", enforce_eager=True)
    base = Base(name="base", model=folder, prompt_date=day)
    generator = resource.load_student(engine, base, folder, Sampling(max_new_tokens=40), "own")
    try:
        found = dict(generator.stream(requests))
    finally:
        generator.close()
    return [(found[n].turns, found[n].prompt_tokens) for n in range(COUNT)]


def test_vllm_answers_as_transformers_does_on_the_studys_date(monkeypatch, tmp_path):
    folder = str(copytree(TEACHER, tmp_path / "dated"))
    template = tmp_path / "dated" / "chat_template.jinja"
    template.write_text(DATED + template.read_text())
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    by_vllm = answers("vllm", folder, date(2024, 5, 3))
    assert by_vllm == answers("transformers", folder, date(2024, 5, 3))
    later = answers("transformers", folder, date(2024, 5, 4))
    assert all(there[1] > here[1] for there, here in zip(later, by_vllm, strict=True))
