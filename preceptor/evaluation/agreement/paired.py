"""Whether two runs differ on the items that both have: a permutation test, an interval, Holm's correction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.evaluation.estimates import NORMAL_95, NOTHING, Estimate

EXACT = 12  # up to this many differences other than 0 all 2^n signs are tried
FLIPS = 20_000
NUMBERS_AT_ONCE = 4_000_000
ROUNDING = 1e-9  # two signs of the same sum differ by less
INTERVAL = "interval of Bonett and Price (2012)"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedDifference:
    """The mean of first - second over n common items, its 95 % interval and p, or why there is none.

    `only_first` and `only_second` items have an outcome in one run only.
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


def paired_difference(
    first: pl.DataFrame, second: pl.DataFrame, seed: int, largest: float | None = 1.0
) -> PairedDifference:
    """Compare two runs' outcomes (columns `item_id` and `outcome`; null is no outcome).

    An item's outcomes, of several samples or draws, are averaged first. The p is that of flipping signs
    (Fisher, 1935), for outcomes of 0 and 1 McNemar's exact one. `largest` is the largest difference that can
    be, None where there is none (a loss). Raises ValueError for a larger one.
    """
    runs = pl.concat([first.with_columns(run=pl.lit("1")), second.with_columns(run=pl.lit("2"))])
    return next((found for _, _, found in paired_differences(runs, seed, largest)), NOT_COMPARED)


def paired_differences(
    outcomes: pl.DataFrame, seed: int, largest: float | None = 1.0, against: str | None = None
) -> list[tuple[str, str, PairedDifference]]:
    """`paired_difference` of every two runs (columns `run`, `item_id`, `outcome`), in the runs' order.

    With `against`, only of every other run with that one, which comes second. All pairs are flipped by the
    same random signs, which makes hundreds of pairs as cheap as a few.
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
        raise ValueError(f"two outcomes of an item differ by more than {largest:g}, the most that can be")
    p_values = _sign_flips(np.nan_to_num(differences), seed)
    return [
        (runs[one], runs[other], _compared(wide[one], wide[other], p_value, largest))
        for (one, other), p_value in zip(pairs, p_values, strict=True)
    ]


def _compared(
    first: Floats, second: Floats, p_value: tuple[float, str], largest: float | None
) -> PairedDifference:
    there, other = ~np.isnan(first), ~np.isnan(second)
    n = int((there & other).sum())
    counts = n, int(there.sum()) - n, int(other.sum()) - n
    if n < 2:
        who = "one item has" if n else "no item has"
        return PairedDifference(None, None, None, None, *counts, error=f"{who} an outcome in both runs")
    mean = mean_difference((first - second)[there & other], largest)
    p, how = p_value
    interval = INTERVAL if largest is not None else "1.96 standard errors of the mean difference"
    return PairedDifference(mean.value, mean.low, mean.high, p, *counts, method=f"{how}; {interval}")


def mean_difference(differences: Floats, largest: float | None = 1.0) -> Estimate:
    """The mean of differences between pairs, none above `largest` in size, with its 95 % interval.

    For the interval only, the largest difference is added once each way, 1.96 standard errors around their
    mean: Bonett and Price (J. Educ. Behav. Stat. 37, 2012) for matched proportions, here for fractions too.
    The t and the bootstrap interval hold the truth two times of three, not 95 in 100, where 5 % of 20 pairs
    differ, and have no width where none does. Where there is no largest (None), nothing is added.
    """
    n = len(differences)
    if n == 0:
        return Estimate(error=NOTHING)
    value = float(np.mean(differences))
    if largest is None:
        margin = NORMAL_95 * float(differences.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
        return Estimate(value, value - margin, value + margin) if n > 1 else Estimate(value)
    extended = np.append(differences, [largest, -largest])
    centre, margin = extended.mean(), NORMAL_95 * extended.std() / np.sqrt(n + 2)
    return Estimate(value, float(max(centre - margin, -largest)), float(min(centre + margin, largest)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of a family, adjusted so that its chance of any false finding holds (Holm, 1979).

    In the order given. Raises ValueError for a number that is no p-value.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("holm adjusts p-values from 0 to 1: leave out tests that have none")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def adjusted_p_values(p_values: list[float | None]) -> list[float | None]:
    """Holm's, over those that there are; None stays None."""
    there = [number for number, p_value in enumerate(p_values) if p_value is not None]
    adjusted = holm([p_value for p_value in p_values if p_value is not None])
    by_number = dict(zip(there, adjusted, strict=True))
    return [by_number.get(number) for number in range(len(p_values))]


def _item_means(outcomes: pl.DataFrame) -> pl.DataFrame:
    there = outcomes.select("run", "item_id", pl.col("outcome").cast(pl.Float64)).drop_nulls("outcome")
    # Sorted, because the sum of the same numbers in another order may differ in its last digit.
    ordered = there.sort("run", "item_id", "outcome")
    return ordered.group_by("run", "item_id", maintain_order=True).agg(pl.col("outcome").mean())


def _sign_flips(differences: Floats, seed: int) -> list[tuple[float, str]]:
    """Two-sided p of each row's sum under random signs; a difference of 0 has none and changes nothing."""
    moved = np.abs(differences) > ROUNDING
    found = [_exact(row[there]) for row, there in zip(differences, moved, strict=True)]
    many = [number for number, p_value in enumerate(found) if p_value is None]
    seen = np.abs(differences[many].sum(axis=1)) - ROUNDING
    reached = np.zeros(len(many))
    for signs in _random_signs(differences.shape[1], seed) if many else ():
        reached += (np.abs(signs @ differences[many].T) >= seen).sum(axis=0)
    how = f"{FLIPS:,} random sign flips, the observed signs counted too"
    at_random = {number: (float((r + 1) / (FLIPS + 1)), how) for number, r in zip(many, reached, strict=True)}
    return [p_value or at_random[number] for number, p_value in enumerate(found)]


def _exact(moved: Floats) -> tuple[float, str] | None:
    """p over all 2^n signs: McNemar's where all are of one size; None where they are too many otherwise."""
    if len(moved) and np.ptp(np.abs(moved)) < ROUNDING:
        from scipy.stats import binomtest

        return float(binomtest(int((moved > 0).sum()), len(moved)).pvalue), "McNemar's exact test"
    if len(moved) > EXACT:
        return None
    seen = abs(moved.sum()) - ROUNDING
    signs = np.array(list(product((1.0, -1.0), repeat=len(moved)))).reshape(2 ** len(moved), len(moved))
    return float((np.abs(signs @ moved) >= seen).mean()), "all sign flips"


def _random_signs(items: int, seed: int) -> Iterator[Floats]:
    """FLIPS rows of signs, some at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, NUMBERS_AT_ONCE // items)
    for start in range(0, FLIPS, at_once):
        shape = (min(at_once, FLIPS - start), items)
        yield (2 * generator.integers(0, 2, shape, dtype=np.int8) - 1).astype(np.float64)
