"""Generate a teacher's responses: one row per instruction and sample, committed as they finish."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import polars as pl

from preceptor.compute.request import Generation, Generator, Request
from preceptor.fingerprint import file_identity, fingerprint, prompt_identity
from preceptor.lake.resume import Outcome, Rows, Work, complete
from preceptor.lake.schemas import RESPONSES
from preceptor.lake.store import Lake
from preceptor.progress import keep_facts
from preceptor.responses.rows import response_row
from preceptor.study.teachers import (
    GeneratingTeacher,
    LocalTeacher,
    OpenAITeacher,
    TeacherFacts,
    VllmTeacher,
)
from preceptor.text import digest

VERSION = 4  # 4: no prompt ends before the words that open an answer
Load = Callable[[Any], Generator]


def generate_responses(
    lake: Lake,
    teacher: GeneratingTeacher,
    instructions: pl.DataFrame,
    load: Load,
    retry_failed: bool = False,
) -> Outcome:
    """Complete the teacher's partition of `responses`: n samples per instruction.

    The engine starts only if rows are missing, gets all of them at once, and is always closed. A prompt that
    cannot be answered becomes a row with an `error`.
    """
    samples = pl.DataFrame({"sample": range(teacher.sampling.n)}, schema={"sample": pl.Int32})
    wanted = instructions.select("instruction_id", "prompt_hash", "system", "turns").join(
        samples, how="cross"
    )
    facts: dict[str, int | float] = {}

    def compute(missing: pl.DataFrame) -> Rows:
        rows = missing.to_dicts()
        requests = [_request(row, teacher.sampling.seed) for row in rows]
        with closing(load(teacher)) as generator, keep_facts(generator, facts, work.title):
            for number, answer in generator.stream(requests):
                yield _row(teacher.name, rows[number], answer)

    identity = ("instruction_id", "sample", "prompt_hash")
    place = {"teacher": teacher.name}
    work = Work(RESPONSES, place, generation_fingerprint(teacher), identity, wanted, retry_failed)
    outcome = complete(lake, work, compute)
    return replace(outcome, facts=outcome.facts | facts)


def generation_fingerprint(teacher: GeneratingTeacher) -> str:
    """Changes with the model, its template, its engine's settings and how it decodes."""
    how: dict[str, Any] = {"engine": teacher.engine}
    match teacher:
        case LocalTeacher():
            how |= _local(teacher)
        case OpenAITeacher():
            how |= teacher.identity
    return fingerprint("responses", VERSION, sampling=_sampling(teacher), **how)


def _sampling(teacher: GeneratingTeacher) -> dict[str, Any]:
    """The settings that determine a sample. `n` does not, because more samples keep the first ones.

    A server that gets no `top_p` uses its own, which matters unless sampling is greedy.
    """
    sampling = teacher.sampling.model_dump(exclude={"n"})
    if isinstance(teacher, OpenAITeacher) and "top_p" not in teacher.given and sampling["temperature"] > 0:
        sampling["top_p"] = None
    return sampling


def _local(teacher: LocalTeacher) -> dict[str, Any]:
    named = {"engine", "model", "revision", "prompt_date", "sampling"}  # each included in another way
    settings = teacher.model_dump(mode="json", exclude={*TeacherFacts.model_fields, *named, *teacher.NO_ROWS})
    if isinstance(teacher, VllmTeacher) and teacher.adapter is not None:
        settings["adapter"] = file_identity(teacher.adapter)
    identity = prompt_identity(teacher.model, teacher.revision, teacher.prompt_format, teacher.prompt_date)
    return {**identity, **settings}


def _request(row: dict[str, Any], seed: int) -> Request:
    first = int(digest(str(seed), row["prompt_hash"]), 16) >> 2  # 62 bits: room for samples and turns
    return Request(row["system"], tuple(row["turns"]), first + row["sample"])


def _row(teacher: str, row: dict[str, Any], answer: Generation) -> dict[str, Any]:
    return response_row(
        teacher,
        row["instruction_id"],
        row["prompt_hash"],
        row["sample"],
        answer.turns,
        answer.error,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        response_tokens=answer.response_tokens,
    )
