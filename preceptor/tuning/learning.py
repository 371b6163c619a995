"""Whether a run learned, as its steps and its training loss show; and the picture of that loss."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

FEW_STEPS = 20  # with fewer optimizer steps, warm-up and the first batches decide
LEAST_FALL = 0.01  # as a share of the loss
LEAST_ERRORS = 2.0  # the fall in standard errors
NORMAL_MEDIAN = 0.6745  # median of a standard normal's absolute value
ADVICE = f"fewer than {FEW_STEPS}: give it more epochs or a smaller batch_size"


@dataclass(frozen=True)
class Learning:
    """Mean training losses (nats per token) of the first and the last quarter of the logged points.

    `fell` is None where one point alone was logged.
    """

    steps: int
    first: float
    last: float
    fell: bool | None

    @property
    def few(self) -> bool:
        """Whether the steps are fewer than FEW_STEPS."""
        return self.steps < FEW_STEPS


def learning(steps: int, losses: Sequence[float]) -> Learning:
    """Whether the loss fell. Each point is a mean over equally many steps, on different rows.

    It fell if the mean of the last quarter of the points is below that of the first by more than 1 % and by
    more than two standard errors. The scatter of a point is estimated from second differences (a point minus
    the mean of its two neighbours, with 1.5 times a point's variance), which a steady fall does not enlarge.
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
    """A sentence on why a run's student may be hardly different from its base; None without such a sign."""
    found = learning(steps, losses)
    took = f"{found.steps:,} optimizer step{'' if found.steps == 1 else 's'}"
    loss = f"{found.first:.3f} → {found.last:.3f} nats per token"
    if found.fell is False and not found.few:
        return f"{run}: its training loss did not fall in {took} ({loss}): check its learning_rate"
    if not found.few:
        return None
    if found.fell is None:
        return f"{run}: {took} cannot show whether it learned, {ADVICE}"
    fell = "fell" if found.fell else "has not fallen yet"
    return f"{run}: its training loss {fell} ({loss}) in only {took}, {ADVICE}"


def _scatter(losses: Sequence[float]) -> float:
    """The standard deviation of a point around its curve; 0 where fewer than three cannot show it."""
    bends = [
        abs(here - (before + after) / 2)
        for before, here, after in zip(losses, losses[1:], losses[2:], strict=False)
    ]
    return median(bends) / (NORMAL_MEDIAN * math.sqrt(1.5)) if bends else 0.0


def loss_curve_plot(steps: Sequence[int], losses: Sequence[float]) -> bytes:
    """A PNG of the training loss (nats per token) over optimizer steps."""
    from matplotlib.figure import Figure  # slow to import, and only wanted here

    figure = Figure(figsize=(5, 2.2), layout="constrained", dpi=80)
    axes = figure.subplots()
    axes.plot(steps, losses, color="#1f5fa8", marker="." if len(steps) == 1 else None)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("nats per token")
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
