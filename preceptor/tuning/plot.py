"""A run's loss curve as a small picture for the UI."""

import io
from collections.abc import Sequence


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
