"""Estimates with 95 % intervals from the outcomes of items. Shares are 0 to 1."""

import math
from collections.abc import Sequence

import polars as pl

from preceptor.statistics.estimates import NORMAL_95, NOTHING, Estimate, around
from preceptor.statistics.proportions import unvaried


def win_rate(outcomes: Sequence[float]) -> Estimate:
    """The mean probability of winning with 1.96 standard errors, computed by alpaca-eval."""
    from alpaca_eval.metrics import get_winrate

    if not outcomes:
        return Estimate(error=NOTHING)
    if len(set(outcomes)) == 1:
        return unvaried(outcomes[0], len(outcomes))
    found = get_winrate([{"preference": 1 + outcome} for outcome in outcomes])
    return _of_percent(found["win_rate"], found["standard_error"])


def discrete_win_rate(outcomes: Sequence[float]) -> Estimate:
    """The share of comparisons won (a draw counts half) with 1.96 standard errors, by alpaca-eval."""
    from alpaca_eval.metrics.helpers import ZeroOneScoringRule

    if not outcomes:
        return Estimate(error=NOTHING)
    sides = {(outcome > 0.5) + (outcome == 0.5) / 2 for outcome in outcomes}
    if len(sides) == 1:
        return unvaried(sides.pop(), len(outcomes))
    found = ZeroOneScoringRule().describe_head2head([1 + outcome for outcome in outcomes])
    return _of_percent(found["win_rate"], found["standard_error"])


def item_mean(
    rows: pl.DataFrame, lowest: float = -math.inf, highest: float = math.inf
) -> tuple[Estimate, int]:
    """The mean over items of their rows' mean `outcome` with 1.96 standard errors, and the number of items.

    Answers to one item are not independent, so only the spread between items counts. Where items do not
    vary, the interval is that of `unvaried`.
    """
    means = rows.drop_nulls("outcome").group_by("item_id", maintain_order=True).agg(pl.col("outcome").mean())
    count, value = means.height, means["outcome"].mean()
    if not isinstance(value, float):
        return Estimate(error=NOTHING), 0
    spread = means["outcome"].std()
    if not spread:
        return unvaried(value, count, lowest, highest), count
    assert isinstance(spread, float)
    return around(value, NORMAL_95 * spread / math.sqrt(count), lowest, highest), count


def _of_percent(percent: float, standard_error: float) -> Estimate:
    """Convert percent to shares, and limit the interval to 0 to 1."""
    return around(float(percent) / 100, NORMAL_95 * float(standard_error) / 100, 0.0, 1.0)
