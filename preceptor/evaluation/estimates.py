"""From items' outcomes to a number with its 95 % interval; all are shares, 0 to 1."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    found = get_winrate([{"preference": 1 + outcome} for outcome in outcomes])
    return _normal(found["win_rate"], found["standard_error"], len(outcomes))


def discrete_win_rate(outcomes: Sequence[float]) -> Estimate:
    """The share of duels won, a draw counting half, and 1.96 of its standard errors, by alpaca-eval."""
    from alpaca_eval.metrics.helpers import ZeroOneScoringRule

    if not outcomes:
        return Estimate(error=NOTHING)
    found = ZeroOneScoringRule().describe_head2head([1 + outcome for outcome in outcomes])
    return _normal(found["win_rate"], found["standard_error"], len(outcomes))


def _normal(percent: float, standard_error: float, n: int) -> Estimate:
    """Percent to shares. One item has no standard error, and no interval leaves 0 to 1."""
    value, margin = float(percent) / 100, NORMAL_95 * float(standard_error) / 100
    if n == 1:
        return Estimate(value)
    return Estimate(value, max(value - margin, 0.0), min(value + margin, 1.0))
