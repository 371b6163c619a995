"""Judge from steps and training loss whether a run learned, and plot the loss."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

FEW_STEPS = 20  # with fewer optimizer steps, warm-up and the first batches dominate the loss
LEAST_FALL = 0.01  # as a share of the loss
LEAST_ERRORS = 2.0  # the fall in standard errors
NORMAL_MEDIAN = 0.6745  # median of a standard normal's absolute value
ADVICE = f"fewer than {FEW_STEPS}; set more epochs or a smaller batch_size"


@dataclass(frozen=True)
class Learning:
    """Mean training losses (nats per token) of the first and the last quarter of the logged points.

    `fell` is None if only one point was logged.
    """

    steps: int
    first: float
    last: float
    fell: bool | None

    @property
    def few(self) -> bool:
        """Whether there are fewer than FEW_STEPS steps."""
        return self.steps < FEW_STEPS


def learning(steps: int, losses: Sequence[float]) -> Learning:
    """Whether the loss fell. Each point is a mean over the same number of steps, on different rows.

    It fell if the mean of the last quarter of the points is below that of the first by more than 1 % and by
    more than two standard errors. A point's scatter is estimated from second differences: a point minus the
    mean of its two neighbours, which has 1.5 times a point's variance. A steady fall does not enlarge them.
    """
    if not losses:
        raise ValueError("the loss curve of a trained run has at least one point")
    part = max(1, len(losses) // 4)
    first, last = fmean(losses[:part]), fmean(losses[-part:])
    if len(losses) < 2:
        return Learning(steps, first, last, None)
    bound = max(LEAST_FALL * abs(first), LEAST_ERRORS * _scatter(losses) * math.sqrt(2 / part))
    return Learning(steps, first, last, first - last > bound)


def doubt(run: str, steps: int, losses: Sequence[float]) -> str | None:
    """Why a run's student may hardly differ from its base, in one sentence; None without such a sign."""
    found = learning(steps, losses)
    took = f"{found.steps:,} optimizer step{'' if found.steps == 1 else 's'}"
    loss = f"{found.first:.3f} → {found.last:.3f} nats per token"
    if found.fell is False and not found.few:
        return f"{run}: its training loss did not fall in {took} ({loss}); check the run's learning_rate"
    if not found.few:
        return None
    if found.fell is None:
        return f"{run}: {took} cannot show whether the run learned, {ADVICE}"
    fell = "fell" if found.fell else "has not fallen yet"
    return f"{run}: its training loss {fell} ({loss}) in only {took}, {ADVICE}"


def _scatter(losses: Sequence[float]) -> float:
    """The standard deviation of a point around its curve; 0 for fewer than three points."""
    bends = [
        abs(here - (before + after) / 2)
        for before, here, after in zip(losses, losses[1:], losses[2:], strict=False)
    ]
    return median(bends) / (NORMAL_MEDIAN * math.sqrt(1.5)) if bends else 0.0


def loss_curve_plot(steps: Sequence[int], losses: Sequence[float]) -> bytes:
    """A PNG of the training loss (nats per token) over optimizer steps."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(5, 2.2), layout="constrained", dpi=80)
    axes = figure.subplots()
    axes.plot(steps, losses, color="#1f5fa8", marker="." if len(steps) == 1 else None)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("nats per token")
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
