"""Is the reward model any good? Its scores against answers that a program can check."""

from dataclasses import dataclass

import polars as pl

from preceptor.lake.warehouse import Warehouse
from preceptor.statistics.correlation import auc

WEAK = 0.75  # below this AUC the reward misplaces more than every fourth pair of right and wrong
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
    """Accuracy and AUC per teacher, the AUC over all, and how many responses no checker could decide."""

    teachers: pl.DataFrame
    responses: int
    accuracy: float | None
    auc: float | None
    undecided: int

    @property
    def verdict(self) -> str:
        """One sentence on how far r can be trusted."""
        if not self.responses:
            return (
                "Nothing is known about r: no instruction has both an answer and a check, so no reward"
                " could be held against a right or wrong response."
            )
        if self.auc is None:
            return f"Nothing is known about r: all {self.responses:,} checked responses are equally right."
        found = (
            f"A right response gets the higher reward in {100 * self.auc:.0f} % of pairs (AUC {self.auc:.3f})"
        )
        if self.auc < WEAK:
            return f"{found}, which is below {WEAK}: r is weak, and so is every ranking that stands on it."
        return f"{found} over {self.responses:,} checked responses."


def check_reward(warehouse: Warehouse) -> RewardCheck:
    """Hold rewards against checked responses, in a warehouse with register_current's views.

    Only rows with a reward, and an answer that its check can hold a response against, take part; the others
    (an unknown check, an answer of check `number` that is not one plain number) are counted.
    """
    checkable = warehouse.query("report/checkable").item()
    # Where nothing can be checked, no text need be read to know that no response was.
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
