"""A benchmark's score, by the formula of its paper, and the description of the method."""

import math
from collections import defaultdict
from collections.abc import Sequence

from preceptor.evaluation.lm_eval.presets import Preset
from preceptor.evaluation.lm_eval.responses import ItemResult
from preceptor.statistics.estimates import NORMAL_95, NOTHING, Estimate, around
from preceptor.statistics.proportions import mean_share, unvaried

NORMAL = "1.96 standard errors of the mean, Wilson's interval where no task varies"


def aggregate(preset: Preset, items: Sequence[ItemResult]) -> Estimate:
    """The mean of the main measure over items, or over the tasks' means, with a 95 % interval.

    The interval is Wilson's if outcomes are 0 or 1 and weigh the same; else 1.96 standard errors of the mean
    of T strata, √(Σ s²/n) / T (Cochran 1977, chapter 5). Items without outcome are left out. A task without
    outcomes is an error, and so is a benchmark without outcomes.
    """
    strata = _strata(preset, items)
    empty = [task for task, outcomes in strata.items() if not outcomes]
    if not any(strata.values()):
        return Estimate(error=NOTHING)
    if empty:
        return Estimate(error=f"no item of {', '.join(empty)} has an outcome")
    if _wilson(strata):
        return mean_share([outcome for outcomes in strata.values() for outcome in outcomes])
    return _normal(list(strata.values()))


def method(preset: Preset, items: Sequence[ItemResult]) -> str:
    """The method for the table of scores: the kind of mean and of interval."""
    over = "items" if preset.mean_over == "items" else "the tasks' means"
    strata = _strata(preset, items)
    interval = "Wilson's interval" if _wilson(strata) else NORMAL
    if not _wilson(strata) and min(map(len, strata.values()), default=0) < 2:
        interval = "no interval, since a task has one item"
    return f"mean of lm-eval's {preset.main_measure} over {over}; {interval}"


def _strata(preset: Preset, items: Sequence[ItemResult]) -> dict[str, list[float]]:
    """The outcomes by task, or in one stratum if the benchmark is a mean over items."""
    strata: defaultdict[str, list[float]] = defaultdict(list)
    for item in items:
        outcomes = strata[item.task if preset.mean_over == "tasks" else preset.name]
        if item.outcome is not None:
            outcomes.append(item.outcome)
    return dict(strata)


def _wilson(strata: dict[str, list[float]]) -> bool:
    sizes = {len(outcomes) for outcomes in strata.values()}
    return len(sizes) == 1 and all(outcome in (0, 1) for outcomes in strata.values() for outcome in outcomes)


def _normal(strata: list[list[float]]) -> Estimate:
    """The mean of strata with 1.96 standard errors. There is no interval if a task has only one item.

    If no task varies, the interval is Wilson's for the effective number of items.
    """
    means = [sum(outcomes) / len(outcomes) for outcomes in strata]
    value = sum(means) / len(means)
    if min(map(len, strata)) < 2:
        return Estimate(value)
    variances = [
        sum((outcome - mean) ** 2 for outcome in outcomes) / (len(outcomes) - 1) / len(outcomes)
        for outcomes, mean in zip(strata, means, strict=True)
    ]
    margin = NORMAL_95 * math.sqrt(sum(variances)) / len(strata)
    if margin == 0:
        return unvaried(value, len(strata) ** 2 / sum(1 / len(outcomes) for outcomes in strata))
    return around(value, margin, 0.0, 1.0)
