"""A teacher's responses through vLLM into a lake; as a script, in a process that a test can kill.

python -m tests.engines.lake_run STORE
"""

import sys

import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.responses.generate import generate_responses
from preceptor.study.fields import Sampling
from preceptor.study.teachers import VllmTeacher
from preceptor.text import digest
from tests.engines.teachers import LARGE, instructions, vllm

ROWS_PER_COMMIT = 32
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


def respond(store: str, load=load) -> Outcome:
    return generate_responses(Lake(store, "test"), TEACHER, wanted(), load, ROWS_PER_COMMIT)


if __name__ == "__main__":
    respond(sys.argv[1])
