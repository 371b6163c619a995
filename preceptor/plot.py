"""A small histogram of a column for the UI."""

import io
import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

BINS = 30
NARROW = 1e-9  # share of the largest value; a narrower range has too few floats for bins, or equal labels
COLOUR = "#1f5fa8"
Floats = NDArray[np.float64]


def histogram(values: pl.Series, label: str) -> bytes:
    """A PNG of the histogram. Nulls and values that are not finite are left out and counted in the title.

    Works for every column: with a single value, with values that differ in the last digit, with none.
    """
    from matplotlib.figure import Figure  # slow to import

    present = values.drop_nulls().cast(pl.Float64)
    finite = present.filter(present.is_finite()).to_numpy()
    figure = Figure(figsize=(5, 2.2), layout="constrained", dpi=80)
    axes = figure.subplots()
    _bars(axes, finite)
    axes.set_xlabel(label, parse_math=False)
    title = f"{present.len():,} rows, {values.null_count():,} without a value"
    if len(finite) < present.len():
        title += f", {present.len() - len(finite):,} not finite"
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _bars(axes: Any, finite: Floats) -> None:
    """Draw bars of equal width. A range that no axis can show is drawn from 0 to 1 and labelled."""
    if not len(finite):
        axes.set_xticks([])
        return
    low, high = float(finite.min()), float(finite.max())
    width, smallest = high - low, BINS * float(np.finfo(np.float64).tiny)
    if math.isfinite(width) and width > max(NARROW * max(abs(low), abs(high)), smallest):
        axes.hist(finite, bins=BINS, color=COLOUR)
        return
    half = high / 2 - low / 2  # the full width may overflow
    if half == 0:
        axes.bar([0], [len(finite)], width=0.1, color=COLOUR)
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], [f"{low:.6g}"])
        return
    axes.hist((finite / 2 - low / 2) / half, bins=BINS, range=(0, 1), color=COLOUR)
    axes.set_xticks([0, 1], [f"{low:.17g}", f"{high:.17g}"])
