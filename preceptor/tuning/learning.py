"""Did a run learn? What its steps and its training loss say, before anybody ranks students by it."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

FEW = 20  # optimizer steps: with fewer, warm-up and the first batches decide
LEAST = 0.01  # share of the loss that it has to fall by
SURE = 2.0  # standard errors that it has to fall by
NORMAL_MEDIAN = 0.6745  # median of a standard normal's absolute value
MORE = "give it more epochs or a smaller batch_size"


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
        """Whether the steps are fewer than FEW."""
        return self.steps < FEW


def learning(steps: int, losses: Sequence[float]) -> Learning:
    """What a loss curve says; its points are means over as many steps each, of other rows.

    It fell where the last quarter of the points is below the first by more than a hundredth, and by more than
    two standard errors. A point's own scatter is told by the median of second differences (x - mean of its
    two neighbours, whose variance is 1.5 times a point's): the fall itself is no scatter.
    """
    if not losses:
        raise ValueError("a run that was trained has a point of its loss curve at least")
    part = max(1, len(losses) // 4)
    first, last = fmean(losses[:part]), fmean(losses[-part:])
    if len(losses) < 2:
        return Learning(steps, first, last, None)
    bound = max(LEAST * abs(first), SURE * _scatter(losses) * math.sqrt(2 / part))
    return Learning(steps, first, last, first - last > bound)


def doubt(run: str, steps: int, losses: Sequence[float]) -> str | None:
    """Why a run's student may be little else than its base, in a sentence; None where nothing says so."""
    found = learning(steps, losses)
    took = f"{found.steps:,} optimizer step{'' if found.steps == 1 else 's'}"
    loss = f"{found.first:.3f} → {found.last:.3f} nats per token"
    if found.fell is False and not found.few:
        return f"{run}: its training loss did not fall in {took} ({loss}): look at its learning_rate"
    if not found.few:
        return None
    if found.fell is None:
        return f"{run}: whether it learned cannot be seen from {took}: {MORE}"
    if found.fell:
        return f"{run}: its training loss fell ({loss}), but it ended after {took}, fewer than {FEW}: {MORE}"
    return f"{run}: its training loss has not fallen yet ({loss}) after {took}, fewer than {FEW}: {MORE}"


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
