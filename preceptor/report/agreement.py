"""Spearman's ρ between what was predicted and what came out, and what so few teachers allow to conclude."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

EXACT = 8  # up to this many items all n! orders are tried
DRAWS = 20_000
SEED = 0
LEVEL = 0.05
ROUNDING = 1e-9  # two orders of the same ρ differ by less
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """ρ over n items, its 95 % interval, the permutation p, and the smallest |ρ| with p ≤ 0.05 at this n.

    What cannot be computed is None, and `reason` says why; `untested`, why nothing is tested. `p_adjusted` is
    Holm's, of this test among all the `tests` of ρ in the report.
    """

    rho: float | None
    n: int
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    smallest_significant: float | None = None
    reason: str | None = None
    p_adjusted: float | None = None
    tests: int = 1
    untested: str | None = None


def unless(found: Agreement, untested: str | None) -> Agreement:
    """The agreement, or, where there is why not to test it, its ρ alone."""
    return (
        found if untested is None else Agreement(found.rho, found.n, reason=found.reason, untested=untested)
    )


def as_agreement(row: dict[str, Any]) -> Agreement:
    """A row of `agreements` as what it was made of."""
    return Agreement(**{name: row[name] for name in Agreement.__dataclass_fields__})


def agreement(predicted: Sequence[float], actual: Sequence[float]) -> Agreement:
    """Spearman's ρ with average ranks for ties, and its two-sided permutation p.

    The interval is Fisher's z with the standard error √((1 + ρ²/2) / (n − 3)) of Bonett and Wright
    (Psychometrika 2000). Raises ValueError for unequal lengths and for numbers that are not finite.
    """
    if not all(math.isfinite(value) for value in (*predicted, *actual)):
        raise ValueError("agreement needs finite numbers: leave out what has no prediction or no outcome")
    n = len(predicted)
    first, second = _centred_ranks(predicted), _centred_ranks(actual)
    if len(second) != n:
        raise ValueError(f"agreement needs pairs, not {n} predictions and {len(second)} outcomes")
    norm = math.sqrt(float(first @ first) * float(second @ second))
    if norm == 0:
        return Agreement(None, n, reason=_constant(first))
    rho = float(np.clip(first @ second / norm, -1, 1))
    null = np.abs(_null(first, second)) / norm
    low, high, reason = _interval(rho, n)
    return Agreement(rho, n, low, high, _p_value(null, abs(rho), n), _critical(null, n), reason)


def conclusion(found: Agreement) -> str:
    """What can and what cannot be concluded from an agreement between teachers, in plain words."""
    if found.rho is None:
        return f"No agreement can be computed: {found.reason}."
    if found.p_value is None:
        return f"ρ = {found.rho:.2f} over {found.n} teachers; not tested: {found.untested}."
    note = f" ({found.reason})"
    if found.low is not None and found.high is not None:
        note = f"; its 95 % interval runs from {found.low:.2f} to {found.high:.2f}"
    start = f"ρ = {found.rho:.2f} over {found.n} teachers{note}, and p = {found.p_value:.2g} by permutation"
    adjusted = found.p_value if found.p_adjusted is None else found.p_adjusted
    if found.tests > 1:
        start += f" ({adjusted:.2g} as one of {found.tests} tests of ρ in this report, by Holm)"
    if adjusted <= LEVEL:
        return f"{start}: {_significant(found.rho, found.low, found.high)}."
    if found.p_value <= LEVEL:
        return f"{start}, so among so many tests this cannot be told from no agreement."
    needed = ", and neither could any other ρ"
    if found.smallest_significant is not None:
        needed = f": it would take |ρ| ≥ {found.smallest_significant:.2f}"
    return f"{start}, so with {found.n} teachers this cannot be told from no agreement{needed}."


def _significant(rho: float, low: float | None, high: float | None) -> str:
    how = "agrees with what came out" if rho > 0 else "is the reverse of what came out,"
    said = f"the predicted order {how} more than chance would"
    if low is None or high is None:
        return said
    if low <= 0 <= high:
        return f"{said}, but the interval, which is approximate, includes none: take it as a hint"
    return f"{said}; how closely, the interval leaves open"


def _centred_ranks(values: Sequence[float]) -> Floats:
    ranks: Floats = pl.Series(values, dtype=pl.Float64).rank("average").to_numpy().astype(np.float64)
    return ranks - (len(ranks) + 1) / 2


def _constant(first: Floats) -> str:
    if len(first) < 2:
        who = "only one teacher" if len(first) else "no teacher"
        return f"{who} has both a prediction and an outcome"
    return f"all {len(first)} {'outcomes' if first.any() else 'predictions'} are the same"


def _interval(rho: float, n: int) -> tuple[float | None, float | None, str | None]:
    if n < 4:
        return None, None, f"{n} teachers give no interval"
    if abs(rho) > 1 - ROUNDING:
        return None, None, "Fisher's z gives no interval where all agree"
    margin = NormalDist().inv_cdf(1 - LEVEL / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - margin), math.tanh(math.atanh(rho) + margin), None


def _null(first: Floats, second: Floats) -> Floats:
    """Σ of products under every order of the items, or under seeded random ones where n! is too many."""
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
