"""Writes a teacher's responses from vLLM to a lake. As a script, it waits for a test to kill it.

python -m tests.engines.lake_run STORE
"""

import signal
import sys
from dataclasses import replace

import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.schemas import RESPONSES
from preceptor.lake.store import Lake
from preceptor.responses.generate import generate_responses
from preceptor.study.fields import Sampling
from preceptor.study.teachers import VllmTeacher
from preceptor.text import digest
from tests.engines.teachers import LARGE, instructions, vllm

FINISHED = 160  # rows, after which the process waits to be killed
STAGING = replace(RESPONSES, name=f"_staging/{RESPONSES.name}")
TEACHER = VllmTeacher(
    name="llama", engine="vllm", model=LARGE, dtype="float32", sampling=Sampling(max_new_tokens=80)
)


def load(teacher: VllmTeacher):
    from preceptor.compute.request import Decoding

    return vllm(teacher.model, Decoding(max_new_tokens=teacher.sampling.max_new_tokens))


def wanted() -> pl.DataFrame:
    texts = instructions()
    ids = [digest(f"{number}") for number in range(len(texts))]
    columns = {"instruction_id": ids, "prompt_hash": ids, "system": None, "turns": [[text] for text in texts]}
    return pl.DataFrame(columns, schema_overrides={"system": pl.String})


class Paused:
    """An engine whose owner takes no further row after FINISHED rows. It never ends by itself."""

    def __init__(self, generator):
        self.generator, self.facts, self.close = generator, generator.facts, generator.close

    def stream(self, asked):
        for number, answered in enumerate(self.generator.stream(asked)):
            while number == FINISHED:
                signal.pause()
            yield answered


def staged(store: str) -> int:
    """The number of committed rows, including those that came just before the pause."""
    return Lake(store, "test").read(STAGING, columns=["fingerprint"]).height


def respond(store: str, load=load) -> Outcome:
    return generate_responses(Lake(store, "test"), TEACHER, wanted(), load)


if __name__ == "__main__":
    respond(sys.argv[1], lambda teacher: Paused(load(teacher)))
