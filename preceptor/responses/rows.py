"""Create rows of `responses`, join them with their instructions, and refuse them if too many failed."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from preceptor.lake.schemas import RESPONSES
from preceptor.text import digest, repair

PROMPT_COLUMNS = ["instruction_id", "system", "turns"]


class FailingTeacherError(ValueError):
    """Too many of a teacher's responses have an error. The message says how many, and the fix."""


def response_row(
    teacher: str,
    instruction_id: str,
    prompt_hash: str,
    sample: int,
    turns: tuple[str, ...],
    error: str | None,
    **facts: Any,
) -> dict[str, Any]:
    """One row. Its response_id changes with teacher, exact prompt, sample, text and error."""
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
    """Rows as a frame in the schema of `responses`. Unknown facts are null."""
    return RESPONSES.frame(rows)


def with_prompts(responses: pl.DataFrame, instructions: pl.DataFrame) -> pl.DataFrame:
    """Responses with their instruction's `system` and `user` turns. Others' rows are dropped."""
    prompts = instructions.select(PROMPT_COLUMNS).rename({"turns": "user"})
    return responses.join(prompts, on="instruction_id", how="inner", maintain_order="left")


def refuse_failing(teacher: str, responses: pl.DataFrame, allowed: float) -> None:
    """Raise FailingTeacherError if the share of failed rows is above `allowed` (limits.failed_rows)."""
    failed = responses["error"].count()
    if failed > allowed * responses.height:
        raise FailingTeacherError(
            f"teacher {teacher!r}: {failed:,} of {responses.height:,} responses failed, more than"
            f" 'limits.failed_rows' ({allowed:g}) allows. Fix the teacher and materialize its responses"
            " again with retry_failed, or raise the limit"
        )


def chunks(rows: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    """Yield slices of at most `size` rows."""
    yield from rows.iter_slices(size)
