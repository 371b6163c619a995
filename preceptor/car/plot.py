"""The CAR table as a picture: one panel per base, teachers by rank, intervals as bars."""

import io
import math

import numpy as np
import polars as pl

PANEL_WIDTH = 5.0  # inches
ROW_HEIGHT = 0.23
COLUMNS = 2  # three would not fit into the UI's dialog


def car_plot(table: pl.DataFrame) -> bytes:
    """A PNG of the ranked teachers of every base, with CAR's interval and the rank interval in words."""
    from matplotlib.figure import Figure  # slow to import, and only wanted here

    ranked = table.filter(pl.col("missing").is_null())
    bases = ranked["base"].unique(maintain_order=True).to_list()
    most = max(ranked["base"].value_counts()["count"].to_list())
    columns = min(len(bases), COLUMNS)
    lines = math.ceil(len(bases) / columns)
    height = lines * (1.0 + ROW_HEIGHT * most) + 0.4
    figure = Figure(figsize=(PANEL_WIDTH * columns, height), layout="constrained", dpi=100)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for unused in panels[len(bases) :]:
        unused.set_axis_off()
    for axes, base in zip(panels, bases, strict=False):
        rows = ranked.filter(base=base).sort("rank", descending=True)
        car, low, high = (rows[name].to_numpy() for name in ("car", "car_low", "car_high"))
        # Ends can pass the estimate by a rounding error; NaN, where there is no interval, draws no bar.
        errors = (np.maximum(car - low, 0), np.maximum(high - car, 0))
        axes.errorbar(
            car, range(rows.height), xerr=errors, fmt="o", color="#1f5fa8", capsize=2.5, markersize=4
        )
        names = [f"{teacher}  {_ranks(*span)}" for teacher, *span in _labels(rows)]
        axes.set_yticks(range(rows.height), names, fontsize=8)
        share = float(rows["tokens_scored"].mean())  # type: ignore[arg-type]
        axes.set_title(f"{base}\n{_share(share)} of response tokens scored", fontsize=9)
        axes.locator_params(axis="x", nbins=5)  # more labels than that run into each other
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    form = "r / (1 + β·L)" if table["form"][0] == "ratio" else "r · (1 + β·L)"
    figure.supxlabel(f"CAR = {form}, β = {table['beta'][0]:g}; [best rank – worst rank]", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _labels(rows: pl.DataFrame) -> list[tuple[str, int, int]]:
    return rows.select("teacher", "rank_low", "rank_high").rows()


def _ranks(low: int, high: int) -> str:
    return f"[{low}]" if low == high else f"[{low} – {high}]"


def _share(share: float) -> str:
    return "?" if math.isnan(share) else f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
