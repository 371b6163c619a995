"""Bootstrap percentile intervals of numbers computed from games."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from preceptor.evaluation.arena_hard.games import Games
from preceptor.statistics.bootstrap import percentile_interval

Floats = NDArray[np.float64]
SAME = 1e-9  # smaller differences of numbers around 1 are rounding
UNVARIED = "all that can be drawn came out the same: the bootstrap has nothing to vary"


@dataclass(frozen=True)
class Bootstrap:
    """The units that are resampled, the number of resamples, and the interval's confidence.

    The games of a question are not independent, so whole questions are drawn. Arena-Hard's authors draw
    "battles", 100 times, with confidence 0.95 in v0.1 and 0.9 in v2.0.
    Raises ValueError for invalid settings.
    """

    unit: Literal["questions", "battles"] = "questions"
    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.confidence < 1:
            raise ValueError(f"a bootstrap needs resamples from 1 and a confidence between 0 and 1: {self}")


def resampled(games: Games, bootstrap: Bootstrap) -> Iterator[Floats]:
    """Yield the number of battles of each game in each resample. All models share the draws."""
    generator = np.random.default_rng(bootstrap.seed)
    by_question = bootstrap.unit == "questions"
    rows = np.arange(len(games.item))
    units = np.unique(games.item) if by_question else np.repeat(rows, games.weight.astype(np.int64))
    for _ in range(bootstrap.resamples):
        drawn = np.bincount(units[generator.integers(0, len(units), len(units))], minlength=len(rows))
        yield games.weight * drawn[games.item] if by_question else drawn.astype(np.float64)


def interval(draws: Floats, confidence: float) -> dict[str, Any]:
    """`low` and `high` of the draws that are not NaN. `reason` names left-out draws or a missing interval."""
    there = draws[~np.isnan(draws)]
    if not len(there) or np.ptp(there) < SAME:
        return {"low": None, "high": None, "reason": UNVARIED}
    low, high = percentile_interval(there[:, None], confidence)
    missing = f"{len(draws) - len(there)} of {len(draws)} resamples have no such number and are left out"
    return {"low": low[0], "high": high[0], "reason": missing if len(there) < len(draws) else None}


def decided_interval(value: float, won: bool, units: int, bootstrap: Bootstrap) -> dict[str, Any]:
    """The interval of a win rate where all units were won (or lost), so that resamples do not vary.

    It is Clopper and Pearson's interval (Biometrika 1934) for the share of units won completely (or lost),
    which is at most the win rate (or the loss rate). It is widened to contain the value, which a penalty may
    have moved.
    """
    bound = float(((1 - bootstrap.confidence) / 2) ** (1 / units))
    low, high = (min(bound, value), 1.0) if won else (0.0, max(1 - bound, value))
    reason = f"{'won' if won else 'lost'} {units} of {units} {bootstrap.unit}: Clopper and Pearson's interval"
    return {"low": low, "high": high, "reason": reason}
