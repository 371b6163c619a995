"""An estimate: a value and its 95 % interval, or the reason why there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

NORMAL_95 = 1.96  # standard errors in a normal 95 % interval, rounded as the benchmarks' authors do
NOTHING = "no item has an outcome"


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `error` says why there is no value."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    error: str | None = None


def around(value: float, margin: float, lowest: float = -math.inf, highest: float = math.inf) -> Estimate:
    """The value ± the margin, cut to [lowest, highest]."""
    return Estimate(value, max(value - margin, lowest), min(value + margin, highest))


def mean_of(values: Sequence[float], lows: Sequence[float | None], highs: Sequence[float | None]) -> Estimate:
    """The mean of independent estimates by the square-and-add method (Zou and Donner, Stat. Med. 2008).

    low = m - √Σ(v - l)² / k, and high alike; an end is None where a part has none.
    """
    count, mean = len(values), sum(values) / len(values)
    ends: list[float | None] = []
    for sign, bounds in ((-1, lows), (1, highs)):
        there = [bound for bound in bounds if bound is not None]
        apart = [value - bound for value, bound in zip(values, there, strict=False)]
        ends.append(mean + sign * math.hypot(*apart) / count if len(there) == count else None)
    return Estimate(mean, ends[0], ends[1])


def difference_of(first: Estimate, second: Estimate) -> Estimate:
    """First - second of independent estimates by the square-and-add method; both have value and interval.

    Of two shares with Wilson's intervals that is Newcombe's method 10 (Statistics in Medicine 17, 1998).
    """
    assert first.value is not None and first.low is not None and first.high is not None
    assert second.value is not None and second.low is not None and second.high is not None
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, low, high)
