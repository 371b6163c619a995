"""Responses that a teacher is asked for here: one row per instruction and sample, committed as they come."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.compute.conversation import TEMPLATES
from preceptor.fingerprint import fingerprint, model_identity
from preceptor.lake.resume import Outcome, Work, complete
from preceptor.lake.schemas import RESPONSES
from preceptor.lake.store import Lake
from preceptor.responses.rows import chunks, response_frame, response_row
from preceptor.study.schema import TransformersTeacher
from preceptor.text import digest

if TYPE_CHECKING:
    from preceptor.compute.generation import Request, TransformersGenerator

VERSION = 1
Load = Callable[[TransformersTeacher], "TransformersGenerator"]


def generate_responses(
    lake: Lake, teacher: TransformersTeacher, instructions: pl.DataFrame, load: Load, rows_per_commit: int
) -> Outcome:
    """Bring the teacher's partition of `responses` to n samples per instruction.

    The model is loaded only if rows are missing. A prompt that does not fit is a row with an `error`.
    """
    samples = pl.DataFrame({"sample": range(teacher.sampling.n)}, schema={"sample": pl.Int32})
    wanted = instructions.select("instruction_id", "prompt_hash", "system", "turns").join(
        samples, how="cross"
    )

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        generator = load(teacher)
        for chunk in chunks(missing, rows_per_commit):
            rows = chunk.to_dicts()
            answers = generator.generate([_request(row, teacher.sampling.seed) for row in rows])
            yield response_frame(
                [_row(teacher.name, row, answer) for row, answer in zip(rows, answers, strict=True)]
            )

    identity = ("instruction_id", "sample", "prompt_hash")
    work = Work(RESPONSES, {"teacher": teacher.name}, generation_fingerprint(teacher), identity, wanted)
    return complete(lake, work, compute)


def generation_fingerprint(teacher: TransformersTeacher) -> str:
    """Changes with the model, its template and how it decodes."""
    sampling = teacher.sampling.model_dump(exclude={"n"})  # more samples keep the first ones
    how = teacher.model_dump(include={"engine", "dtype", "prompt_format", "max_length"})
    identity = model_identity(teacher.model, teacher.revision)
    template = TEMPLATES.get(teacher.prompt_format)
    return fingerprint("responses", VERSION, model=identity, template=template, sampling=sampling, **how)


def _request(row: dict[str, Any], seed: int) -> "Request":
    from preceptor.compute.generation import Request

    drawn = int(digest(str(seed), row["prompt_hash"], str(row["sample"])), 16) >> 1
    return Request(row["system"], tuple(row["turns"]), drawn)


def _row(teacher: str, row: dict[str, Any], answer: Any) -> dict[str, Any]:
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
