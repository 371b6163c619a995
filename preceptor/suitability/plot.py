"""The CAR table as a picture: the answers, then one panel per base with teachers by rank and intervals."""

import io
import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

PANEL_WIDTH = 3.7  # inches: two of them are as wide as the UI shows a picture
NARROWEST = 5.2
ROW_HEIGHT = 0.18
COLUMNS = 2
DOTS = 100  # per inch
LETTERS = 16.2  # in an inch of a line above the panels
NAME = 24  # letters of a teacher's name


def car_plot(table: pl.DataFrame, answers: Mapping[str, str]) -> bytes:
    """A PNG of the ranked teachers of every base, with CAR's interval and the rank interval in words.

    `answers` has a sentence for every base.
    """
    from matplotlib.figure import Figure  # slow to import, and only wanted here

    ranked = table.filter(pl.col("missing").is_null())
    bases = ranked["base"].unique(maintain_order=True).to_list()
    if not bases:
        return words_picture("\n".join(answers.values()) or "No teacher is ranked.")
    columns = min(len(bases), COLUMNS)
    lines, width = math.ceil(len(bases) / columns), max(PANEL_WIDTH * columns, NARROWEST)
    said = [line for answer in answers.values() for line in _lines(answer, width)]
    most = max(ranked["base"].value_counts()["count"].to_list())
    height = lines * (0.5 + ROW_HEIGHT * most) + 0.3 + 0.14 * len(said)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DOTS)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for unused in panels[len(bases) :]:
        unused.set_axis_off()
    for axes, base in zip(panels, bases, strict=False):
        _panel(axes, base, ranked.filter(base=base).sort("rank", descending=True))
    form = "r / (1 + β·L)" if table["form"][0] == "ratio" else "r · (1 + β·L)"
    made = f"CAR = {form}, β = {table['beta'][0]:g}; [best – worst rank], by paired comparison"
    figure.supxlabel(made, fontsize=8)
    figure.suptitle("\n".join(said), x=0.01, ha="left", fontsize=8.5, parse_math=False)
    return _png(figure)


def _panel(axes: Any, base: str, rows: pl.DataFrame) -> None:
    """One base's teachers, the first at the top."""
    car, low, high = (rows[name].to_numpy() for name in ("car", "car_low", "car_high"))
    # Ends can pass the estimate by a rounding error; NaN, where there is no interval, draws no bar.
    errors = (np.maximum(car - low, 0), np.maximum(high - car, 0))
    places = range(rows.height)
    axes.errorbar(car, places, xerr=errors, fmt="o", color="#1f5fa8", capsize=2.5, markersize=4)
    names = [f"{_short(teacher)}  {_ranks(*span)}" for teacher, *span in _labels(rows)]
    axes.set_yticks(places, names, fontsize=7.5, parse_math=False)
    axes.set_title(base, fontsize=8.5, parse_math=False)
    axes.locator_params(axis="x", nbins=5)  # more labels than that run into each other
    axes.tick_params(axis="x", labelsize=7.5)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def words_picture(text: str) -> bytes:
    """A PNG of a text, if there is nothing to draw."""
    from matplotlib.figure import Figure

    width = PANEL_WIDTH * COLUMNS
    lines = [line for part in text.splitlines() for line in _lines(part, width)]
    figure = Figure(figsize=(width, 0.3 + 0.2 * len(lines)), dpi=DOTS)
    figure.text(0.01, 0.5, "\n".join(lines), va="center", fontsize=9, parse_math=False)
    return _png(figure)


def _lines(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int(LETTERS * width), break_on_hyphens=False)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _labels(rows: pl.DataFrame) -> list[tuple[str, int, int]]:
    return rows.select("teacher", "rank_low", "rank_high").rows()


def _ranks(low: int, high: int) -> str:
    return f"[{low}]" if low == high else f"[{low} – {high}]"


def _short(name: str) -> str:
    """The name; a long name loses its middle."""
    return name if len(name) <= NAME else f"{name[: NAME // 2]}…{name[1 - NAME // 2 :]}"
