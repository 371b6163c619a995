"""Tests and intervals of a difference: between paired outcomes, and between two samples."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from preceptor.statistics.estimates import NORMAL_95, NOTHING, Estimate, around

EXACT = 12  # up to this many differences other than 0 all 2^n signs are tried
FLIPS = 20_000
NUMBERS_AT_ONCE = 4_000_000
ROUNDING = 1e-9  # two signs of the same sum differ by less
RANDOM = f"{FLIPS:,} random sign flips, the observed signs counted too"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SignFlipTest:
    """A two-sided p, and which signs it counts."""

    p_value: float
    method: str


def sign_flip_tests(differences: Floats, seed: int) -> list[SignFlipTest]:
    """Fisher's test (1935) of each row of paired differences (tests, pairs); NaN is no pair.

    p is the share of signs under which a row's sum is as far from 0 as it is. A difference of 0 has no sign.
    Where all others have one size, that is McNemar's exact test. Few of them have all their signs tried; more
    have 20,000 random ones, the same for all rows, which makes hundreds of rows as cheap as a few.

    scipy.stats.permutation_test draws other signs and takes three times as long (10 rows of 500 pairs).
    """
    differences = np.nan_to_num(differences)
    moved = np.abs(differences) > ROUNDING
    found = [_exact(row[there]) for row, there in zip(differences, moved, strict=True)]
    many = [number for number, test in enumerate(found) if test is None]
    at_random = dict(zip(many, _random(differences[many], seed), strict=True))
    return [test or at_random[number] for number, test in enumerate(found)]


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
        if n == 1:
            return Estimate(value)
        return around(value, NORMAL_95 * float(differences.std(ddof=1)) / math.sqrt(n))
    extended = np.append(differences, [largest, -largest])
    centre, margin = float(extended.mean()), NORMAL_95 * float(extended.std()) / math.sqrt(n + 2)
    ends = around(centre, margin, -largest, largest)
    return Estimate(value, ends.low, ends.high)


def welch(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided p of Welch's t (Biometrika 1947) of two samples; None where neither varies."""
    from scipy.stats import ttest_ind

    if math.isclose(max(first), min(first)) and math.isclose(max(second), min(second)):
        return None
    return float(ttest_ind(first, second, equal_var=False).pvalue)


def _exact(moved: Floats) -> SignFlipTest | None:
    """The test over all 2^n signs: McNemar's where all are of one size; None where they are too many."""
    if len(moved) and np.ptp(np.abs(moved)) < ROUNDING:
        from scipy.stats import binomtest

        p_value = binomtest(int((moved > 0).sum()), len(moved)).pvalue
        return SignFlipTest(float(p_value), "McNemar's exact test")
    if len(moved) > EXACT:
        return None
    seen = abs(moved.sum()) - ROUNDING
    signs = np.array(list(product((1.0, -1.0), repeat=len(moved)))).reshape(2 ** len(moved), len(moved))
    return SignFlipTest(float((np.abs(signs @ moved) >= seen).mean()), "all sign flips")


def _random(differences: Floats, seed: int) -> list[SignFlipTest]:
    """The observed signs count as one more, so that no p is 0."""
    tests, pairs = differences.shape
    seen = np.abs(differences.sum(axis=1)) - ROUNDING
    reached = np.zeros(tests)
    for signs in _random_signs(pairs, seed) if tests else ():
        reached += (np.abs(signs @ differences.T) >= seen).sum(axis=0)
    return [SignFlipTest(float((count + 1) / (FLIPS + 1)), RANDOM) for count in reached]


def _random_signs(pairs: int, seed: int) -> Iterator[Floats]:
    """FLIPS rows of signs, some at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, NUMBERS_AT_ONCE // pairs)
    for start in range(0, FLIPS, at_once):
        shape = (min(at_once, FLIPS - start), pairs)
        yield (2 * generator.integers(0, 2, shape, dtype=np.int8) - 1).astype(np.float64)
