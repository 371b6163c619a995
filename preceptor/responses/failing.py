"""A teacher of whom too many responses failed: a fault to mend before anything is built on it."""

import polars as pl


class FailingTeacherError(ValueError):
    """Too many of a teacher's responses carry an error; its text says how many and what to do."""


def refuse_failing(teacher: str, responses: pl.DataFrame, allowed: float) -> None:
    """Raise FailingTeacherError where the share of failed rows is beyond `allowed` (limits.failed_rows)."""
    failed = responses["error"].count()
    if failed > allowed * responses.height:
        raise FailingTeacherError(
            f"teacher {teacher!r}: {failed:,} of {responses.height:,} responses failed, more than"
            f" 'limits.failed_rows' ({allowed:g}) allows. Mend the teacher and materialize its responses"
            " again with retry_failed, or raise the limit"
        )
