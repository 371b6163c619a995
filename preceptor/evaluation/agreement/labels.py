"""Agreement of two judges on the same items, where a tie against a choice counts half (LIMA)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.statistics.estimates import Estimate
from preceptor.statistics.proportions import mean_share
from preceptor.statistics.reliability import cohens_kappa

WIN, TIE, LOSE = LABELS = ("win", "tie", "lose")
ROUNDING = 1e-9  # means of the same outcomes in another order differ by less
ITEM = ("item_id",)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelAgreement:
    """Three measures over the n items that both judged, and counts of items that only one judged.

    Points as in LIMA (arXiv 2305.11206, section 4): 1 for the same label, 0.5 where exactly one says tie,
    else 0. `plain` is the share of equal labels, `kappa` Cohen's (1960).
    """

    tie_discounted: Estimate
    plain: Estimate
    kappa: Estimate
    n: int
    only_first: int
    only_second: int

    @property
    def left_out(self) -> int:
        """Items that only one of the two judged."""
        return self.only_first + self.only_second


def label_agreement(first: pl.DataFrame, second: pl.DataFrame, seed: int) -> LabelAgreement:
    """Compare two judges' labels (columns `item_id` and `label`: win, tie or lose; null is not judged).

    The intervals are those of `mean_share`, and of `cohens_kappa` for kappa.
    Raises ValueError for an unknown label, or for an item that one judge has twice.
    """
    one, other = _judged(first, "first"), _judged(second, "second")
    both = one.join(other, on="item_id", suffix="_second")
    labels = pl.concat([one, other])  # an item that only one judge has has one label, so it makes no pair
    return LabelAgreement(
        mean_share(agreement_of_pairs(labels, ITEM, half=TIE)["agreement"]),
        mean_share(agreement_of_pairs(labels, ITEM)["agreement"]),
        cohens_kappa(_contingency(both), seed),
        both.height,
        one.height - both.height,
        other.height - both.height,
    )


def agreement_of_pairs(labels: pl.DataFrame, keys: Sequence[str], half: str | None = None) -> pl.DataFrame:
    """For each key with two labels or more: the mean points (`agreement`) of all `pairs` of its labels.

    A pair has 1 point for the same label, 0.5 where exactly one of the two is `half`, else 0.
    """
    count = pl.col("len").cast(pl.Int64)
    all_labels = count.sum()
    halves = count.filter(pl.col("label") == half).sum() if half else pl.lit(0)
    points = (count * (count - 1)).sum() / 2 + halves * (all_labels - halves) / 2
    pairs = all_labels * (all_labels - 1) // 2
    grouped = labels.group_by(*keys, "label").len().group_by(*keys).agg(points=points, pairs=pairs)
    several = grouped.filter(pl.col("pairs") > 0).sort(keys)
    return several.select(*keys, (pl.col("points") / pl.col("pairs")).alias("agreement"), "pairs")


def agreement_by_item(pairs: pl.DataFrame) -> pl.Series:
    """The mean points of each item's pairs, from `agreement_of_pairs`, sorted by item."""
    points = pl.col("agreement") * pl.col("pairs")
    items = pairs.group_by("item_id").agg(agreement=points.sum() / pl.col("pairs").sum())
    return items.sort("item_id")["agreement"]


def label_of(outcome: pl.Expr) -> pl.Expr:
    """The side of 0.5 that an outcome (0 to 1) is on: win, tie or lose; null stays null."""
    above = outcome - 0.5
    labels = pl.when(above > ROUNDING).then(pl.lit(WIN)).when(above < -ROUNDING).then(pl.lit(LOSE))
    return pl.when(outcome.is_not_null()).then(labels.otherwise(pl.lit(TIE)))


def _judged(labels: pl.DataFrame, who: str) -> pl.DataFrame:
    judged = labels.select(pl.col("item_id", "label").cast(pl.String)).drop_nulls("label")
    unknown = judged.filter(~pl.col("label").is_in(LABELS))
    if unknown.height:
        item_id, label = unknown.row(0)
        raise ValueError(
            f"the {who} judge's label of item {item_id} is {label!r}: write one of {', '.join(LABELS)}"
        )
    if judged["item_id"].n_unique() < judged.height:
        repeated = judged.filter(pl.col("item_id").is_duplicated())["item_id"][0]
        raise ValueError(f"the {who} judge has item {repeated} twice: give one label for each item")
    return judged


def _contingency(both: pl.DataFrame) -> Floats:
    """Counts of items by (first judge's label, second judge's label)."""
    found = [
        both.filter((pl.col("label") == one) & (pl.col("label_second") == other)).height
        for one in LABELS
        for other in LABELS
    ]
    return np.array(found, dtype=np.float64).reshape(len(LABELS), len(LABELS))
