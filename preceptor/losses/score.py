"""Losses of responses under an untuned base model, one row per response."""

from collections.abc import Callable

import polars as pl

from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.lake.resume import Outcome
from preceptor.lake.schemas import BASE_LOSSES
from preceptor.lake.store import Lake
from preceptor.scoring import ScoringEngine, score_responses, scoring_work
from preceptor.study.schema import Base

VERSION = 4  # 4: a space that a template adds before an answer belongs to the answer


def score_losses(
    lake: Lake,
    base: Base,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    load: Callable[[Base], ScoringEngine],
    retry_failed: bool = False,
) -> Outcome:
    """Complete the (base, teacher) partition: per response the sums over its tokens or an `error`."""
    place = {"base": base.name, "teacher": teacher}
    work = scoring_work(BASE_LOSSES, place, loss_fingerprint(base), responses, instructions, retry_failed)
    return score_responses(lake, work, lambda: load(base))


def loss_fingerprint(base: Base) -> str:
    """Changes with the model, its template and the choice of scored tokens."""
    settings = {"dtype", "prompt_format", "include_end_of_turn", "unconditional", "max_length"}
    return fingerprint(
        "base_losses",
        VERSION,
        **prompt_identity(base.model, base.revision, base.prompt_format, base.prompt_date),
        **base.model_dump(include=settings),
    )
