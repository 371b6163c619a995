"""What a teacher's lead in CAR is made of: its reward, or how little it loses under the base."""

import math
from dataclasses import dataclass

import polars as pl

MOSTLY = 2 / 3  # of a lead that both make larger
NOTHING = 1e-9  # a factor's logarithm that is a rounding error


@dataclass(frozen=True)
class Lead:
    """The factors by which a teacher's reward and its loss make its CAR other than the others' average.

    CAR is a product of the two, r · (1 + β·L)^±1, so their logarithms add up to its own: log CAR less the
    mean of the others' is log `reward` + log `loss`. The average is the geometric mean for that reason.
    """

    reward: float
    loss: float

    @property
    def whole(self) -> float:
        """The teacher's CAR over the others' geometric mean."""
        return self.reward * self.loss


def lead(ranked: pl.DataFrame, teacher: str) -> Lead | None:
    """One base's ranked teachers in rows of `car_table`; None where there is no other to compare with."""
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
    """Why a teacher leads, as the end of `A ranks first …`; nothing where nothing sets it apart."""
    reward, loss = math.log(found.reward), math.log(found.loss)
    lower, higher = ("low", "higher") if form == "ratio" else ("high", "lower")
    if max(reward, loss) <= NOTHING:
        return ""
    if reward <= 0:
        return f"by its {lower} loss" + (", in spite of a lower reward" if reward < -NOTHING else "")
    if loss <= 0:
        return "by its reward" + (f", in spite of a {higher} loss" if loss < -NOTHING else "")
    part = reward / (reward + loss)
    if part >= MOSTLY:
        return "mostly by its reward"
    return f"mostly by its {lower} loss" if part <= 1 - MOSTLY else f"by both its reward and its {lower} loss"


def in_numbers(found: Lead) -> str:
    """Both factors in words, beside the others' average."""
    return (
        f"CAR against the other teachers' average: {_changed(found.reward)} by its reward,"
        f" {_changed(found.loss)} by its loss"
    )


def _changed(factor: float) -> str:
    if factor >= 2:
        return f"{factor:.3g} times as large"
    change = round(100 * (factor - 1))
    if change == 0:
        return "neither larger nor smaller"
    return f"{abs(change)} % {'larger' if change > 0 else 'smaller'}"
