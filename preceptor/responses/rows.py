"""Rows of `responses`: made, put beside their instructions, and refused where too many of them failed."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from preceptor.lake.schemas import RESPONSES
from preceptor.text import digest, repair

PROMPT_COLUMNS = ["instruction_id", "system", "turns"]


class FailingTeacherError(ValueError):
    """Too many of a teacher's responses carry an error; its text says how many and what to do."""


def response_row(
    teacher: str,
    instruction_id: str,
    prompt_hash: str,
    sample: int,
    turns: tuple[str, ...],
    error: str | None,
    **facts: Any,
) -> dict[str, Any]:
    """One row; its response_id changes with the teacher, the exact prompt, the sample and the words."""
    clean = [repair(turn) for turn in turns]
    return {
        "response_id": digest(teacher, prompt_hash, str(sample), error or "", *clean),
        "instruction_id": instruction_id,
        "prompt_hash": prompt_hash,
        "sample": sample,
        "turns": clean,
        "error": error,
        **facts,
    }


def response_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame in the schema of `responses`; facts that are not known are null."""
    return RESPONSES.frame(rows)


def with_prompts(responses: pl.DataFrame, instructions: pl.DataFrame) -> pl.DataFrame:
    """Responses with their instruction's `system` and `user` turns; of other instructions' rows, none."""
    prompts = instructions.select(PROMPT_COLUMNS).rename({"turns": "user"})
    return responses.join(prompts, on="instruction_id", how="inner", maintain_order="left")


def refuse_failing(teacher: str, responses: pl.DataFrame, allowed: float) -> None:
    """Raise FailingTeacherError where the share of failed rows is beyond `allowed` (limits.failed_rows)."""
    failed = responses["error"].count()
    if failed > allowed * responses.height:
        raise FailingTeacherError(
            f"teacher {teacher!r}: {failed:,} of {responses.height:,} responses failed, more than"
            f" 'limits.failed_rows' ({allowed:g}) allows. Mend the teacher and materialize its responses"
            " again with retry_failed, or raise the limit"
        )


def chunks(rows: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    """The frame in slices of at most `size` rows."""
    yield from rows.iter_slices(size)
