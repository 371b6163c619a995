"""Whether a reward model still gives the same responses the same rewards.

The rewards of now are held against those of a week ago, as the lake keeps them. So a drift is seen by every
materialization of that week, also by one that finds nothing to do after a kill, and by none after it.
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
    """How the rewards of the same responses moved since a version of the table.

    `shift` is the difference of the means in standard deviations of the earlier rewards: None where all
    earlier rewards were one number and the later ones are not.
    """

    version: int
    pairs: int
    earlier: float
    now: float
    shift: float | None

    def within(self, bound: float) -> bool:
        """Whether the rewards moved no further than that."""
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
    """The drift of a partition of `rewards` that now holds `rows`; None where nothing was scored anew.

    Raises LakeError where the earlier rewards cannot be read: somebody vacuumed too eagerly.
    """
    for version in earlier_versions(history(lake, REWARDS), partition, now):
        try:
            before = lake.read(REWARDS, partition, ["response_id", "reward"], version)
        except LakeError as error:
            raise LakeError(f"not known, since the earlier rewards are gone: {error}") from error
        if (found := drift(before, rows, version)) is not None:
            return found
    return None


def drift(before: pl.DataFrame, rows: pl.DataFrame, version: int) -> Drift | None:
    """The drift between two frames of rewards, over responses that both score; None for fewer than two."""
    earlier_rewards = before.select("response_id", earlier="reward")
    pairs = rows.select("response_id", now="reward").join(earlier_rewards, on="response_id").drop_nulls()
    if pairs.height < 2:
        return None
    earlier, now = pairs["earlier"].to_numpy(), pairs["now"].to_numpy()
    means = float(earlier.mean()), float(now.mean())
    return Drift(version, pairs.height, *means, _shift(earlier, now))


def _shift(earlier: Floats, now: Floats) -> float | None:
    if np.ptp(earlier) > 0:  # the deviation itself is not quite 0 for equal numbers
        return float((now - earlier).mean() / earlier.std())
    return 0.0 if np.allclose(earlier, now) else None


def earlier_versions(
    commits: Sequence[Commit], partition: Partition, now: datetime | None = None
) -> list[int]:
    """The versions that may hold a partition's rewards of a week ago, or the first since then; oldest first.

    `commits` are the table's, newest first. What they name changes as the week goes on.
    """
    since = (now or datetime.now(UTC)) - RECENT
    recent = [c for c in commits if c.partition == dict(partition) and c.time >= since][::-1]
    if not recent:
        return []
    before = [recent[0].version - 1] if recent[0].version > 0 else []  # a table's first has nothing before it
    return [*before, *(commit.version for commit in recent[:-1])]
