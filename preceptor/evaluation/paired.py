"""Compares two runs on their common items, with a permutation test and an interval."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.statistics.differences import SignFlipTest, mean_difference, sign_flip_tests

ROUNDING = 1e-9
INTERVAL = "interval of Bonett and Price (2012)"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedDifference:
    """The mean of first - second over n common items with its 95 % interval and p-value, or an `error`.

    `only_first` and `only_second` count items with an outcome in one run only.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    n: int = 0
    only_first: int = 0
    only_second: int = 0
    method: str | None = None
    error: str | None = None


NOT_COMPARED = PairedDifference(error="no item has an outcome in both runs")


def paired_differences(
    outcomes: pl.DataFrame, seed: int, largest: float | None = 1.0, against: str | None = None
) -> list[tuple[str, str, PairedDifference]]:
    """Compare every two runs (columns `run`, `item_id`, `outcome`; null is no outcome), in the runs' order.

    An item's outcomes, of several samples or draws, are averaged first. The p-value comes from
    `sign_flip_tests`, the interval from `mean_difference`. `largest` is the largest possible difference, None
    if unbounded (a loss). With `against`, all other runs are compared with that run, which comes second.
    Raises ValueError for a difference above `largest`.
    """
    means = _item_means(outcomes)
    runs = outcomes["run"].unique(maintain_order=True).to_list()
    wide = np.full((len(runs), means["item_id"].n_unique()), np.nan)
    places = (means["run"].replace_strict(runs, list(range(len(runs)))), means["item_id"].rank("dense") - 1)
    wide[tuple(place.to_numpy().astype(np.int64) for place in places)] = means["outcome"].to_numpy()
    pairs = list(combinations(range(len(runs)), 2))
    if against is not None:
        pairs = [(one, runs.index(against)) for one in range(len(runs)) if runs[one] != against]
    if not pairs or means.is_empty():
        return [(runs[one], runs[other], NOT_COMPARED) for one, other in pairs]
    differences = np.array([wide[one] - wide[other] for one, other in pairs])
    if largest is not None and (np.abs(differences) > largest + ROUNDING).any():
        raise ValueError(f"two outcomes of an item differ by more than {largest:g}, the largest possible")
    tests = sign_flip_tests(differences, seed)
    return [
        (runs[one], runs[other], _compared(wide[one], wide[other], test, largest))
        for (one, other), test in zip(pairs, tests, strict=True)
    ]


def _compared(first: Floats, second: Floats, test: SignFlipTest, largest: float | None) -> PairedDifference:
    there, other = ~np.isnan(first), ~np.isnan(second)
    n = int((there & other).sum())
    counts = n, int(there.sum()) - n, int(other.sum()) - n
    if n < 2:
        who = "one item has" if n else "no item has"
        return PairedDifference(None, None, None, None, *counts, error=f"{who} an outcome in both runs")
    mean = mean_difference((first - second)[there & other], largest)
    interval = INTERVAL if largest is not None else "1.96 standard errors of the mean difference"
    method = f"{test.method}; {interval}"
    return PairedDifference(mean.value, mean.low, mean.high, test.p_value, *counts, method=method)


def _item_means(outcomes: pl.DataFrame) -> pl.DataFrame:
    there = outcomes.select("run", "item_id", pl.col("outcome").cast(pl.Float64)).drop_nulls("outcome")
    # Sorted, because sums of the same numbers in another order may differ in the last digit.
    ordered = there.sort("run", "item_id", "outcome")
    return ordered.group_by("run", "item_id", maintain_order=True).agg(pl.col("outcome").mean())
