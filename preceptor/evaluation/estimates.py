"""From items' outcomes to a number with its 95 % interval; shares are 0 to 1."""

import math
from collections.abc import Sequence

import polars as pl

from preceptor.statistics.estimates import NORMAL_95, NOTHING, Estimate, around
from preceptor.statistics.proportions import unvaried


def win_rate(outcomes: Sequence[float]) -> Estimate:
    """The mean probability of winning and 1.96 of its standard errors, by alpaca-eval."""
    from alpaca_eval.metrics import get_winrate

    if not outcomes:
        return Estimate(error=NOTHING)
    if len(set(outcomes)) == 1:
        return unvaried(outcomes[0], len(outcomes))
    found = get_winrate([{"preference": 1 + outcome} for outcome in outcomes])
    return _of_percent(found["win_rate"], found["standard_error"])


def discrete_win_rate(outcomes: Sequence[float]) -> Estimate:
    """The share of comparisons won, a draw counting half, and 1.96 of its standard errors, by alpaca-eval."""
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
    return around(value, NORMAL_95 * spread / math.sqrt(count), lowest, highest), count


def _of_percent(percent: float, standard_error: float) -> Estimate:
    """Percent to shares, which no interval leaves."""
    return around(float(percent) / 100, NORMAL_95 * float(standard_error) / 100, 0.0, 1.0)
