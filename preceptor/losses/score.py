"""Losses of responses under an untuned base model, one row per response, committed as they come."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.compute.conversation import TEMPLATES, Conversation
from preceptor.fingerprint import fingerprint, model_identity
from preceptor.lake.resume import Outcome, Work, complete
from preceptor.lake.schemas import BASE_LOSSES
from preceptor.lake.store import Lake
from preceptor.responses.rows import chunks, with_prompts
from preceptor.study.schema import Base

if TYPE_CHECKING:
    from preceptor.compute.loss import LossScorer

VERSION = 1


def score_losses(
    lake: Lake,
    base: Base,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    load: Callable[[Base], "LossScorer"],
    rows_per_commit: int,
) -> Outcome:
    """Bring the (base, teacher) partition to one row per response: sums over its tokens or an `error`."""

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        scorer = load(base)
        for chunk in chunks(missing, rows_per_commit):
            rows = chunk.to_dicts()
            good = [row for row in rows if row["error"] is None]
            losses = scorer.score(
                [Conversation(r["system"], tuple(r["user"]), tuple(r["turns"])) for r in good]
            )
            found = {row["response_id"]: asdict(loss) for row, loss in zip(good, losses, strict=True)}
            yield pl.DataFrame([_row(row, found) for row in rows], schema=BASE_LOSSES.row_schema)

    work = Work(
        BASE_LOSSES,
        {"base": base.name, "teacher": teacher},
        loss_fingerprint(base),
        ("response_id", "instruction_id"),
        with_prompts(responses, instructions),
    )
    return complete(lake, work, compute)


def loss_fingerprint(base: Base) -> str:
    """Changes with the model, its template and which tokens are scored."""
    how = base.model_dump(include={"dtype", "prompt_format", "include_end_of_turn", "max_length"})
    return fingerprint(
        "base_losses",
        VERSION,
        model=model_identity(base.model, base.revision),
        template=TEMPLATES.get(base.prompt_format),
        **how,
    )


def _row(row: dict[str, Any], found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    identity = {key: row[key] for key in ("response_id", "instruction_id", "sample")}
    failed = {"error": f"no response: {row['error']}"}
    return {**identity, **found.get(row["response_id"], failed)}
