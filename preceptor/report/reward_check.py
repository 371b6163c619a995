"""Tests the reward model: compares its rewards with the right answers that a program can check."""

from dataclasses import dataclass

import polars as pl

from preceptor.lake.warehouse import Warehouse
from preceptor.statistics.correlation import auc

WEAK = 0.75  # below this AUC the reward orders more than a quarter of the right-wrong pairs wrongly
SCHEMA = {
    "teacher": pl.String,
    "responses": pl.Int64,
    "accuracy": pl.Float64,
    "auc": pl.Float64,
}
NONE_CHECKED = pl.Schema(
    dict.fromkeys(("teacher", "response", "answer", "check"), pl.String) | {"reward": pl.Float64}
)


@dataclass(frozen=True)
class RewardCheck:
    """Accuracy and AUC per teacher and over all teachers, and the number of undecided responses."""

    teachers: pl.DataFrame
    responses: int
    accuracy: float | None
    auc: float | None
    undecided: int

    @property
    def verdict(self) -> str:
        """One sentence on how reliable r is."""
        if not self.responses:
            return (
                "The reliability of r is unknown: no response with a reward could be checked, because that"
                " needs an instruction with both an answer and a check."
            )
        if self.auc is None:
            return (
                f"The reliability of r is unknown: the {self.responses:,} checked responses are all right or"
                " all wrong."
            )
        found = (
            f"A right response gets the higher reward in {100 * self.auc:.0f} % of pairs (AUC {self.auc:.3f})"
        )
        if self.auc < WEAK:
            return f"{found}, which is below {WEAK}: r is weak, and so is every ranking based on it."
        return f"{found} over {self.responses:,} checked responses."


def check_reward(warehouse: Warehouse) -> RewardCheck:
    """Compare rewards with checked responses, in a warehouse with register_current's views.

    Only rows count that have a reward and an answer that the check accepts. The others, such as those with an
    unknown check or an answer of check `number` that is not one plain number, are counted as undecided.
    """
    checkable = warehouse.query("report/checkable").item()
    # Skip reading all responses if no instruction can be checked.
    rows = warehouse.query("report/checked_responses") if checkable else NONE_CHECKED.to_frame()
    checked = rows.with_columns(pl.Series("right", _decisions(rows), dtype=pl.Boolean))
    decided = checked.filter(pl.col("right").is_not_null())
    teachers = [
        (name, rows.height, rows["right"].mean(), auc(rows["reward"], rows["right"]))
        for (name,), rows in decided.group_by("teacher", maintain_order=True)
    ]
    return RewardCheck(
        pl.DataFrame(teachers, schema=SCHEMA, orient="row"),
        decided.height,
        None if decided.is_empty() else float(decided["right"].mean()),  # type: ignore[arg-type]
        auc(decided["reward"], decided["right"]),
        checked.height - decided.height,
    )


def _decisions(rows: pl.DataFrame) -> list[bool | None]:
    from preceptor.evaluation.checkers import CHECKS, refusal

    return [
        CHECKS[check](response, answer) if refusal(check, answer) is None else None
        for response, answer, check in rows.select("response", "answer", "check").iter_rows()
    ]
