"""How far two judges of the same items agree, where a tie against a choice counts half (LIMA)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.evaluation.estimates import NOTHING, Estimate

WIN, TIE, LOSE = LABELS = ("win", "tie", "lose")
CONFIDENCE = 0.95
RESAMPLES = 10_000
ROUNDING = 1e-9  # means of the same outcomes in another order differ by less
ITEM = ("item_id",)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelAgreement:
    """Three measures over the n items that both judged, and how many only one of them judged.

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

    Intervals: `mean_share`'s; for kappa a bootstrap over items, none where every resample gives the same.
    Raises ValueError for another label or an item that one judge has twice.
    """
    one, other = _judged(first, "first"), _judged(second, "second")
    both = one.join(other, on="item_id", suffix="_second")
    labels = pl.concat([one, other])  # an item that one judge lacks has one label here and makes no pair
    return LabelAgreement(
        mean_share(agreement_of_pairs(labels, ITEM, half=TIE)["agreement"]),
        mean_share(agreement_of_pairs(labels, ITEM)["agreement"]),
        _kappa_estimate(_contingency(both), seed),
        both.height,
        one.height - both.height,
        other.height - both.height,
    )


def agreement_of_pairs(labels: pl.DataFrame, keys: Sequence[str], half: str | None = None) -> pl.DataFrame:
    """Per key with two labels or more, the mean points of a pair of its labels: `agreement`, over `pairs`.

    1 for the same label; 0.5 where exactly one of the two is `half`; else 0.
    """
    count = pl.col("len").cast(pl.Int64)
    all_labels = count.sum()
    halves = count.filter(pl.col("label") == half).sum() if half else pl.lit(0)
    points = (count * (count - 1)).sum() / 2 + halves * (all_labels - halves) / 2
    pairs = all_labels * (all_labels - 1) // 2
    grouped = labels.group_by(*keys, "label").len().group_by(*keys).agg(points=points, pairs=pairs)
    several = grouped.filter(pl.col("pairs") > 0).sort(keys)
    return several.select(*keys, (pl.col("points") / pl.col("pairs")).alias("agreement"), "pairs")


def mean_share(values: pl.Series) -> Estimate:
    """The mean of values from 0 to 1 with Wilson's interval (1927), which holds at 0 and 1 too.

    Of 0s and 1s that is the share's own. Fractions with mean p vary less than p(1 - p) (Bhatia and Davis,
    2000), so for them the interval is wider than need be.
    """
    n = len(values)
    if n == 0:
        return Estimate(error=NOTHING)
    mean = math.fsum(values) / n
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    shrink = 1 + z**2 / n
    centre = (mean + z**2 / (2 * n)) / shrink
    margin = z / shrink * math.sqrt(max(mean * (1 - mean), 0) / n + z**2 / (4 * n**2))
    return Estimate(mean, min(max(centre - margin, 0.0), mean), max(min(centre + margin, 1.0), mean))


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
        raise ValueError(f"the {who} judge has item {repeated} twice: give one label an item")
    return judged


def _contingency(both: pl.DataFrame) -> Floats:
    """How many items have each pair of labels: (first judge's, second judge's)."""
    found = [
        both.filter((pl.col("label") == one) & (pl.col("label_second") == other)).height
        for one in LABELS
        for other in LABELS
    ]
    return np.array(found, dtype=np.float64).reshape(len(LABELS), len(LABELS))


def _kappa_estimate(table: Floats, seed: int) -> Estimate:
    n = int(table.sum())
    if n == 0:
        return Estimate(error=NOTHING)
    value = float(_kappa(table))
    if math.isnan(value):
        return Estimate(error="both judges gave every item the same label: chance would agree as much")
    cells = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=RESAMPLES)
    draws = _kappa(cells.reshape(RESAMPLES, *table.shape).astype(np.float64))
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high)) if high - low > ROUNDING else Estimate(value)


def _kappa(table: Floats) -> Floats:
    """(observed - expected) / (1 - expected) agreement of (…, labels, labels); NaN where that is 0 / 0."""
    n = table.sum((-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1) / n
    expected = (table.sum(-1) * table.sum(-2)).sum(-1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa: Floats = (observed - expected) / np.where(expected == 1, np.nan, 1 - expected)
    return kappa
