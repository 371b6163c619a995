"""Losses of responses under an untuned base model, one row per response, committed as they come."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.compute.conversation import Conversation
from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.lake.resume import Chunks, Outcome, Work, complete
from preceptor.lake.schemas import BASE_LOSSES
from preceptor.lake.store import Lake
from preceptor.responses.rows import groups, with_prompts
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
    rows_per_commit: int,
    retry_failed: bool = False,
) -> Outcome:
    """Bring the (base, teacher) partition to one row per response: sums over its tokens or an `error`."""

    facts: dict[str, int | float] = {}

    def compute(missing: pl.DataFrame) -> Chunks:
        failed = missing.filter(pl.col("error").is_not_null())
        if not failed.is_empty():
            yield _frame([(row, {"error": f"no response: {row['error']}"}) for row in failed.to_dicts()])
        rows = missing.filter(pl.col("error").is_null()).to_dicts()
        if not rows:
            return
        scorer = load(base)
        asked = [Conversation(r["system"], tuple(r["user"]), tuple(r["turns"])) for r in rows]
        for finished in groups(scorer.stream(asked), rows_per_commit):
            yield _frame([(rows[n], asdict(loss)) for n, loss in finished])
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


def _frame(scored: list[tuple[dict[str, Any], dict[str, Any]]]) -> pl.DataFrame:
    rows = [
        {**{key: row[key] for key in ("response_id", "instruction_id", "sample")}, **loss}
        for row, loss in scored
    ]
    return pl.DataFrame(rows, schema=BASE_LOSSES.row_schema)
