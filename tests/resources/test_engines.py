"""The table of engines: a new entry serves teachers and students, and its settings are fingerprinted."""

from typing import Literal

import polars as pl
import pytest

from preceptor.compute.request import Generation
from preceptor.evaluation.evaluate import evaluate
from preceptor.instructions.collect import collect_instructions
from preceptor.responses.generate import generation_fingerprint
from preceptor.study.fields import Sampling
from preceptor.study.schema import Base, Instructions, InstructionSource
from preceptor.study.teachers import LocalTeacher, OpenAITeacher, TransformersTeacher, VllmTeacher
from resources.engines import ENGINES, Engine
from resources.evaluation import EvaluationResource
from resources.generation import GenerationResource
from tests.evaluation.benchmarks import checkers, job, sums, write_lines

COMMIT = {"name": "t", "model": "some/model", "revision": "a" * 40}
SAMPLED = {"prompt_date": "2024-01-01", "max_length": 99, "sampling": Sampling(n=3, temperature=1)}
ADDRESS = {"name": "o", "engine": "openai", "model": "m", "base_url": "http://localhost/v1"}
STORED = {  # what the code at commit a848a6a stored
    "104b46ecf1365450": TransformersTeacher(engine="transformers", **COMMIT),
    "02c810b8da6b8210": TransformersTeacher(
        engine="transformers", style="s", gpu="g", prompt_format="chatml", **SAMPLED, **COMMIT
    ),
    "253f4452df162494": VllmTeacher(engine="vllm", tensor_parallel_size=2, **COMMIT),
    "82aff9ce3b387c94": OpenAITeacher(**ADDRESS),
}


class EchoTeacher(LocalTeacher):
    """An engine that repeats the instruction."""

    engine: Literal["echo"]
    ending: str = "!"


class Echo:
    """Stores its load arguments."""

    def __init__(self, teacher, decoding, here):
        self.teacher, self.decoding, self.here = teacher, decoding, here
        self.facts = {}

    def stream(self, requests):
        for number, request in enumerate(requests):
            yield number, Generation((request.user[0] + self.teacher.ending,), "stop", 1, 1)

    def close(self):
        """Nothing to close."""


@pytest.fixture
def loaded(monkeypatch) -> list[Echo]:
    made = []

    def load(*arguments):
        made.append(Echo(*arguments))
        return made[-1]

    monkeypatch.setitem(ENGINES, "echo", Engine(EchoTeacher, load))
    return made


def asked(tmp_path) -> pl.DataFrame:
    path = write_lines(tmp_path / "asked.jsonl", [{"instruction": f"say {n}"} for n in range(3)])
    source = InstructionSource(name="asked", path=path, format="alpaca")
    return collect_instructions(Instructions(sources=(source,), near_duplicate_threshold=None))[0]


def test_a_new_engine_generates_for_a_teacher(lake, tmp_path, loaded):
    teacher = EchoTeacher(engine="echo", ending="?", **COMMIT)
    outcome, _ = GenerationResource(device="cpu").respond(lake, teacher, asked(tmp_path), 0.0)
    assert sorted(turns[0] for turns in outcome.rows["turns"]) == ["say 0?", "say 1?", "say 2?"]


def test_a_new_engine_generates_for_a_student(lake, tmp_path, loaded):
    base = Base(dtype="bfloat16", max_length=77, **COMMIT)
    resource = EvaluationResource(engine="echo", device="cpu", batch_size=5)
    benchmark = checkers(tmp_path, sums(3), sampling=Sampling(max_new_tokens=9))
    found = evaluate(job(lake, benchmark, resource._engines(base)))
    assert found.items.rows["response"].list[0].to_list() == ["0 + 1?!", "1 + 1?!", "2 + 1?!"]
    (engine,) = loaded
    assert (engine.teacher.model, engine.teacher.revision) == ("/models/checkpoint", "main")
    assert (engine.teacher.dtype, engine.teacher.max_length) == ("bfloat16", 77)
    assert (engine.decoding.max_new_tokens, engine.here.batch_size) == (9, 5)


@pytest.mark.parametrize("engine", ["openai", "echo"])
def test_students_need_an_engine_that_runs_local_folders(engine):
    with pytest.raises(ValueError, match=f"'{engine}' .* transformers, vllm"):
        EvaluationResource(engine=engine)


def test_stored_responses_keep_their_fingerprints(tmp_path):
    assert list(map(generation_fingerprint, STORED.values())) == list(STORED)
    (tmp_path / "a.txt").write_text("x")
    tuned = VllmTeacher(engine="vllm", quantization="fp8", adapter=str(tmp_path), **COMMIT)
    assert generation_fingerprint(tuned) == "e871926b8e8fba48"


def test_a_setting_of_a_new_engine_changes_its_fingerprint():
    marks = {generation_fingerprint(EchoTeacher(engine="echo", ending=e, **COMMIT)) for e in "!?"}
    assert len(marks) == 2
