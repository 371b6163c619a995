"""Losses of responses under an untuned base model, one row per response, committed as they come."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.compute.conversation import Conversation
from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.lake.resume import Outcome, Rows, Work, complete
from preceptor.lake.schemas import BASE_LOSSES
from preceptor.lake.store import Lake
from preceptor.responses.rows import with_prompts
from preceptor.study.schema import Base

if TYPE_CHECKING:
    from preceptor.compute.loss import LossScorer

VERSION = 4  # 4: a blank that a template sets before an answer is the answer's


def score_losses(
    lake: Lake,
    base: Base,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    load: Callable[[Base], "LossScorer"],
    retry_failed: bool = False,
) -> Outcome:
    """Bring the (base, teacher) partition to one row per response: sums over its tokens or an `error`."""

    facts: dict[str, int | float] = {}

    def compute(missing: pl.DataFrame) -> Rows:
        failed = missing.filter(pl.col("error").is_not_null())
        yield from (_row(row, {"error": f"no response: {row['error']}"}) for row in failed.to_dicts())
        rows = missing.filter(pl.col("error").is_null()).to_dicts()
        if not rows:
            return
        scorer = load(base)
        asked = [Conversation(r["system"], tuple(r["user"]), tuple(r["turns"])) for r in rows]
        for number, loss in scorer.stream(asked):
            yield _row(rows[number], vars(loss))
        facts.update(scorer.facts)

    work = Work(
        BASE_LOSSES,
        {"base": base.name, "teacher": teacher},
        loss_fingerprint(base),
        ("response_id", "instruction_id"),
        with_prompts(responses, instructions),
        retry_failed,
    )
    outcome = complete(lake, work, compute)
    return replace(outcome, facts=outcome.facts | facts)


def loss_fingerprint(base: Base) -> str:
    """Changes with the model, its template and which tokens are scored."""
    settings = {"dtype", "prompt_format", "include_end_of_turn", "unconditional", "max_length"}
    return fingerprint(
        "base_losses",
        VERSION,
        **prompt_identity(base.model, base.revision, base.prompt_format, base.prompt_date),
        **base.model_dump(include=settings),
    )


def _row(row: dict[str, Any], loss: dict[str, Any]) -> dict[str, Any]:
    return {**{key: row[key] for key in ("response_id", "instruction_id", "sample")}, **loss}
