"""A column's distribution as a small picture for the UI."""

import io

import polars as pl

BINS = 30


def histogram(values: pl.Series, label: str) -> bytes:
    """A PNG of how often values occur; nulls are left out and counted in the title."""
    from matplotlib.figure import Figure  # slow to import, and only wanted here

    present = values.drop_nulls()
    figure = Figure(figsize=(5, 2.2), layout="constrained", dpi=80)
    axes = figure.subplots()
    axes.hist(present.to_numpy(), bins=BINS, color="#1f5fa8")
    axes.set_xlabel(label)
    axes.set_title(f"{present.len():,} rows, {values.null_count():,} without a value", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
