"""Splits a teacher's lead in CAR into the part from its reward and the part from its loss."""

import math
from dataclasses import dataclass

import polars as pl

MOSTLY = 2 / 3  # share of the lead from which one part is called the main one, if both raise CAR
NOTHING = 1e-9  # a smaller logarithm of a factor is a rounding error


@dataclass(frozen=True)
class Lead:
    """The factors by which a teacher's reward and loss change its CAR against the other teachers' average.

    CAR is a product, r · (1 + β·L)^±1, so logarithms add up: log CAR minus the mean of the others' log CAR is
    log `reward` + log `loss`. Therefore the average is the geometric mean.
    """

    reward: float
    loss: float

    @property
    def whole(self) -> float:
        """The teacher's CAR divided by the geometric mean of the others'."""
        return self.reward * self.loss


def lead(ranked: pl.DataFrame, teacher: str) -> Lead | None:
    """The lead of a teacher. `ranked` has rows of `car_table` for one base. None if no other is ranked."""
    if ranked.height < 2:
        return None
    sign = pl.when(pl.col("form") == "ratio").then(-1).otherwise(1)
    parts = ranked.select(
        first=pl.col("teacher") == teacher,
        reward=pl.col("mean_reward").log(),
        loss=sign * (pl.col("beta") * pl.col("mean_loss")).log1p(),
    )
    own, others = parts.filter("first").row(0, named=True), parts.filter(~pl.col("first")).mean()
    return Lead(*(math.exp(own[part] - others[part][0]) for part in ("reward", "loss")))


def reason(found: Lead, form: str) -> str:
    """Why a teacher leads, to complete `A ranks first …`; empty if neither part raises its CAR."""
    reward, loss = math.log(found.reward), math.log(found.loss)
    lower, higher = ("low", "higher") if form == "ratio" else ("high", "lower")
    if max(reward, loss) <= NOTHING:
        return ""
    if reward <= 0:
        return f"by its {lower} loss" + (", despite a lower reward" if reward < -NOTHING else "")
    if loss <= 0:
        return "by its reward" + (f", despite a {higher} loss" if loss < -NOTHING else "")
    part = reward / (reward + loss)
    if part >= MOSTLY:
        return "mostly by its reward"
    return f"mostly by its {lower} loss" if part <= 1 - MOSTLY else f"by both its reward and its {lower} loss"


def in_numbers(found: Lead) -> str:
    """Both factors in words, against the others' average."""
    return (
        f"CAR against the other teachers' average: {_changed(found.reward)} by its reward,"
        f" {_changed(found.loss)} by its loss"
    )


def _changed(factor: float) -> str:
    if factor >= 2:
        return f"{factor:.3g} times as large"
    change = round(100 * (factor - 1))
    if change == 0:
        return "unchanged"
    return f"{abs(change)} % {'larger' if change > 0 else 'smaller'}"
