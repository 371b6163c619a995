"""A tuned model that vLLM answers for: the same greedy answers as transformers gives, in the same rows."""

import json

import pytest

from preceptor.compute.request import Request
from preceptor.study.fields import Sampling
from preceptor.study.schema import Base
from resources.evaluation import EvaluationResource
from tests.endpoint.vllm_server import DEMO, TEACHER

pytestmark = pytest.mark.slow
pytest.importorskip("vllm")
COUNT = 24


def answers(engine: str) -> list[tuple[str, ...]]:
    lines = (DEMO / "benchmark.jsonl").read_text().splitlines()[:COUNT]
    requests = [Request(None, (json.loads(line)["instruction"],), seed=n) for n, line in enumerate(lines)]
    resource = EvaluationResource(engine=engine, device="cpu", enforce_eager=True)
    base = Base(name="base", model=str(TEACHER))
    generator = resource._generator(base, str(TEACHER), Sampling(max_new_tokens=40), "own")
    try:
        found = dict(generator.stream(requests))
    finally:
        generator.close()
    return [found[n].turns for n in range(COUNT)]


def test_vllm_answers_as_transformers_does(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    assert answers("vllm") == answers("transformers")
