"""How many optimizer steps a run takes, and how many rows have passed after each."""

import math
from dataclasses import dataclass

from preceptor.study.tuning import Tuning

CURVE_POINTS = 50


@dataclass(frozen=True)
class Schedule:
    """Epochs over `rows` in batches; the last batch of an epoch may be smaller."""

    rows: int
    batch_size: int
    steps: int

    @classmethod
    def of(cls, rows: int, tuning: Tuning) -> "Schedule":
        """The schedule of a tuning over so many rows; a part of an epoch is rounded up to whole steps."""
        an_epoch = math.ceil(rows / tuning.batch_size)
        return cls(rows, tuning.batch_size, math.ceil(tuning.epochs * an_epoch))

    @property
    def steps_an_epoch(self) -> int:
        """Optimizer steps."""
        return math.ceil(self.rows / self.batch_size)

    @property
    def logging_steps(self) -> int:
        """Steps between two points of the loss curve, so that it has about CURVE_POINTS."""
        return math.ceil(self.steps / CURVE_POINTS)

    def rows_after(self, step: int) -> int:
        """Rows that have passed after this step, counted again in each epoch."""
        epochs, steps = divmod(step, self.steps_an_epoch)
        return epochs * self.rows + min(steps * self.batch_size, self.rows)
