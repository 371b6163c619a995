"""From items' outcomes to a number with its 95 % interval; shares are 0 to 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

NORMAL_95 = 1.96
NOTHING = "no item has an outcome"


@dataclass(frozen=True)
class Estimate:
    """A metric's value and its 95 % interval, or why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    error: str | None = None


def accuracy(outcomes: Sequence[float]) -> Estimate:
    """The share of right answers, with Wilson's interval (1927), which holds at 0 and 1 too."""
    from scipy.stats import binomtest

    if not outcomes:
        return Estimate(error=NOTHING)
    counted = binomtest(round(sum(outcomes)), len(outcomes))
    interval = counted.proportion_ci(method="wilson")
    return Estimate(float(counted.statistic), float(interval.low), float(interval.high))


def win_rate(outcomes: Sequence[float]) -> Estimate:
    """The mean probability of winning and 1.96 of its standard errors, by alpaca-eval."""
    from alpaca_eval.metrics import get_winrate

    if not outcomes:
        return Estimate(error=NOTHING)
    if len(set(outcomes)) == 1:
        return unvaried(outcomes[0], len(outcomes))
    found = get_winrate([{"preference": 1 + outcome} for outcome in outcomes])
    return _normal(found["win_rate"], found["standard_error"], len(outcomes))


def discrete_win_rate(outcomes: Sequence[float]) -> Estimate:
    """The share of duels won, a draw counting half, and 1.96 of its standard errors, by alpaca-eval."""
    from alpaca_eval.metrics.helpers import ZeroOneScoringRule

    if not outcomes:
        return Estimate(error=NOTHING)
    sides = {(outcome > 0.5) + (outcome == 0.5) / 2 for outcome in outcomes}
    if len(sides) == 1:
        return unvaried(sides.pop(), len(outcomes))
    found = ZeroOneScoringRule().describe_head2head([1 + outcome for outcome in outcomes])
    return _normal(found["win_rate"], found["standard_error"], len(outcomes))


def unvaried(value: float, n: float, lowest: float = 0.0, highest: float = 1.0) -> Estimate:
    """The one outcome of all n items: a normal interval would be no wider than a point, Wilson's is.

    Outcomes in [lowest, highest] vary most, at a given mean, when they lie at the two ends (Bhatia and Davis
    2000): the interval is that of a share. One item, or one without such ends, has no interval.
    """
    if n <= 1 or math.isinf(highest - lowest):
        return Estimate(value)
    z, share = NORMAL_95, (value - lowest) / (highest - lowest)
    centre, spread = share + z**2 / (2 * n), share * (1 - share) / n + z**2 / (4 * n**2)
    low, high = ((centre + sign * z * math.sqrt(spread)) / (1 + z**2 / n) for sign in (-1, 1))
    low, high = (lowest + (highest - lowest) * end for end in (low, high))
    return Estimate(value, max(min(low, value), lowest), min(max(high, value), highest))


def item_mean(
    rows: pl.DataFrame, lowest: float = -math.inf, highest: float = math.inf
) -> tuple[Estimate, int]:
    """The mean over items of their rows' mean `outcome`, 1.96 standard errors around it, and the items.

    Answers to one item are not independent: only the spread between items counts. Where there is none, the
    interval is that of `unvaried`.
    """
    means = rows.drop_nulls("outcome").group_by("item_id", maintain_order=True).agg(pl.col("outcome").mean())
    count, value = means.height, means["outcome"].mean()
    if not isinstance(value, float):
        return Estimate(error=NOTHING), 0
    spread = means["outcome"].std()
    if not spread:
        return unvaried(value, count, lowest, highest), count
    assert isinstance(spread, float)
    margin = NORMAL_95 * spread / math.sqrt(count)
    return Estimate(value, max(value - margin, lowest), min(value + margin, highest)), count


def _normal(percent: float, standard_error: float, n: int) -> Estimate:
    """Percent to shares. One item has no standard error, and no interval leaves 0 to 1."""
    value, margin = float(percent) / 100, NORMAL_95 * float(standard_error) / 100
    if n == 1:
        return Estimate(value)
    return Estimate(value, max(value - margin, 0.0), min(value + margin, 1.0))
