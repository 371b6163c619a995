"""Detect drift: does a reward model still give the same responses the same rewards?

Current rewards are compared with those of a week ago, which the lake keeps. So every materialization within
that week reports a drift, even one that finds nothing to do after a kill. Later ones do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.lake.history import Commit, history
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError, Partition

Floats = NDArray[np.float64]
RECENT = timedelta(days=7)  # also how long jobs.vacuum keeps the files of old versions


@dataclass(frozen=True)
class Drift:
    """The change of the same responses' rewards since a version of the table.

    `shift` is the difference of the means in standard deviations of the earlier rewards. It is None if all
    earlier rewards were equal and the later ones differ from them.
    """

    version: int
    pairs: int
    earlier: float
    now: float
    shift: float | None

    def within(self, bound: float) -> bool:
        """Whether the shift is within a bound."""
        return self.shift is not None and abs(self.shift) <= bound

    def __str__(self) -> str:
        size = "all earlier rewards were equal" if self.shift is None else f"{self.shift:+.2g} sd"
        return (
            f"the mean reward of {self.pairs:,} responses was {self.earlier:.4g} in version {self.version}"
            f" and is {self.now:.4g} ({size})"
        )


def drift_since_last_week(
    lake: Lake, partition: Partition, rows: pl.DataFrame, now: datetime | None = None
) -> Drift | None:
    """The drift of a partition of `rewards` whose rows are now `rows`; None if nothing was scored again.

    Raises LakeError if the earlier rewards cannot be read, because their files were vacuumed too early.
    """
    for version in earlier_versions(history(lake, REWARDS), partition, now):
        try:
            before = lake.read(REWARDS, partition, ["response_id", "reward"], version)
        except LakeError as error:
            raise LakeError(f"the drift is unknown, because the earlier rewards are gone: {error}") from error
        if (found := drift(before, rows, version)) is not None:
            return found
    return None


def drift(before: pl.DataFrame, rows: pl.DataFrame, version: int) -> Drift | None:
    """The drift between two frames of rewards, over responses that both contain; None for fewer than two."""
    earlier_rewards = before.select("response_id", earlier="reward")
    pairs = rows.select("response_id", now="reward").join(earlier_rewards, on="response_id").drop_nulls()
    if pairs.height < 2:
        return None
    earlier, now = pairs["earlier"].to_numpy(), pairs["now"].to_numpy()
    means = float(earlier.mean()), float(now.mean())
    return Drift(version, pairs.height, *means, _shift(earlier, now))


def _shift(earlier: Floats, now: Floats) -> float | None:
    if np.ptp(earlier) > 0:  # the standard deviation of equal numbers is not exactly 0
        return float((now - earlier).mean() / earlier.std())
    return 0.0 if np.allclose(earlier, now) else None


def earlier_versions(
    commits: Sequence[Commit], partition: Partition, now: datetime | None = None
) -> list[int]:
    """Versions that may contain a partition's rewards of a week ago, or the first since then; oldest first.

    `commits` are the table's, newest first. The result changes as time passes.
    """
    since = (now or datetime.now(UTC)) - RECENT
    recent = [c for c in commits if c.partition == dict(partition) and c.time >= since][::-1]
    if not recent:
        return []
    before = (
        [recent[0].version - 1] if recent[0].version > 0 else []
    )  # nothing precedes a table's first version
    return [*before, *(commit.version for commit in recent[:-1])]
