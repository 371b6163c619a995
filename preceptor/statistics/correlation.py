"""Rank correlation of two columns, its test, and the AUC."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preceptor.statistics.multiple import LEVEL

EXACT = 8  # up to this many items all n! orders are tried
DRAWS = 20_000
SEED = 0
ROUNDING = 1e-9  # two orders of the same ρ differ by less
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's ρ of n pairs, its 95 % interval, its permutation p, and the smallest |ρ| with p ≤ 0.05.

    A value that cannot be computed is None: all values if a column does not vary; the interval for fewer than
    four pairs or |ρ| = 1; the smallest ρ if no order of so few pairs reaches p ≤ 0.05.
    """

    rho: float | None
    n: int
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    smallest_significant: float | None = None


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> RankCorrelation:
    """Spearman's ρ with average ranks for ties, and its two-sided permutation p.

    p is exact up to 8 pairs and of 20,000 random orders above. The interval is Fisher's z with the standard
    error √((1 + ρ²/2) / (n - 3)) of Bonett and Wright (Psychometrika 2000). Raises ValueError as `spearman`.
    """
    rho, n = spearman(first, second), len(first)
    if rho is None:
        return RankCorrelation(None, n)
    one, other = _centred_ranks(first), _centred_ranks(second)
    null = np.abs(_null(one, other)) / _norm(one, other)
    low, high = _interval(rho, n)
    return RankCorrelation(rho, n, low, high, _p_value(null, abs(rho), n), _critical(null, n))


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's ρ with average ranks for ties; None where a column does not vary.

    Raises ValueError for columns of unequal length and for numbers that are not finite.
    """
    if len(first) != len(second):
        raise ValueError(f"a rank correlation needs pairs, not {len(first)} numbers and {len(second)}")
    if not all(math.isfinite(value) for value in (*first, *second)):
        raise ValueError("a rank correlation needs finite numbers: leave out pairs that lack one")
    one, other = _centred_ranks(first), _centred_ranks(second)
    norm = _norm(one, other)
    return float(np.clip(one @ other / norm, -1, 1)) if norm else None


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's τ-b, which allows for ties; None where a column does not vary."""
    from scipy.stats import kendalltau

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(kendalltau(first, second).statistic)


def auc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Probability that a positive's score is above a negative's, ties half.

    None where all are positive, or none is.
    """
    from sklearn.metrics import roc_auc_score

    of_two = np.asarray(positive, np.bool_)
    return None if of_two.all() or not of_two.any() else float(roc_auc_score(of_two, np.asarray(scores)))


def _centred_ranks(values: Sequence[float]) -> Floats:
    from scipy.stats import rankdata

    centred: Floats = rankdata(np.asarray(values, np.float64)) - (len(values) + 1) / 2
    return centred


def _norm(first: Floats, second: Floats) -> float:
    return math.sqrt(float(first @ first) * float(second @ second))


def _interval(rho: float, n: int) -> tuple[float, float] | tuple[None, None]:
    if n < 4 or abs(rho) > 1 - ROUNDING:
        return None, None
    margin = NormalDist().inv_cdf(1 - LEVEL / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - margin), math.tanh(math.atanh(rho) + margin)


def _null(first: Floats, second: Floats) -> Floats:
    """Σ of products under every order of the items, or under seeded random ones where n! is too many.

    scipy.stats.permutation_test draws other orders above 8 items, which would change the p-values of today.
    """
    n = len(first)
    if n <= EXACT:
        orders = np.array(list(permutations(range(n))))
    else:
        orders = np.random.default_rng(SEED).permuted(np.tile(np.arange(n), (DRAWS, 1)), axis=1)
    products: Floats = first[orders] @ second
    return products


def _p_value(null: Floats, rho: float, n: int) -> float:
    return float(_tail((null >= rho - ROUNDING).sum(), len(null), n))


def _critical(null: Floats, n: int) -> float | None:
    """The smallest |ρ| of the permutation distribution that is reached in at most 5 % of the orders."""
    values, counts = np.unique(np.round(null, 9), return_counts=True)
    reached = np.cumsum(counts[::-1])[::-1]
    enough = values[_tail(reached, len(null), n) <= LEVEL]
    return float(min(enough[0], 1.0)) if len(enough) else None


def _tail(reached: NDArray[np.int64], orders: int, n: int) -> Floats:
    """Share of orders that reach a |ρ|; the observed order counts as one more among random ones."""
    observed = 0 if n <= EXACT else 1
    share: Floats = (reached + observed) / (orders + observed)
    return share
