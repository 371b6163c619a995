"""The style of the report's charts, and a figure as one self-contained HTML element."""

import html
from collections.abc import Sequence
from typing import Any

import polars as pl

# Colours that are visible on paper and on a dark screen. When they repeat, dashes distinguish lines.
COLOURS = (
    "#2f6fb3",
    "#c8603a",
    "#4f9a5b",
    "#a5529c",
    "#b58b1b",
    "#2d9c9c",
    "#c24a5e",
    "#7a6fd0",
    "#7d8a3c",
    "#94694a",
)
DASHES = ("solid", "dash", "dot", "dashdot")
INK = "#7d7a74"  # readable on both; the page's style sheet overrides the colours of text and rules
GREY = "#8b8780"
RULE = "rgba(128,128,128,0.25)"
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
LABEL = 24  # characters of a name that fit beside a chart on a phone
ROW = 25  # pixels


def colour(number: int) -> str:
    """The colour of the n-th teacher, the same everywhere on the page."""
    return COLOURS[number % len(COLOURS)]


def dash(number: int) -> str:
    """The line style of the n-th teacher: solid for the first ten."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def label(name: str) -> str:
    """A name beside an axis. A long name loses its middle. HTML is escaped, because plotly reads some."""
    ends = LABEL // 2
    return html.escape(name if len(name) <= LABEL else f"{name[:ends]}…{name[1 - ends :]}")


def new_figure(height: int, x_title: str, y_title: str = "") -> Any:
    """An empty figure in the report's style."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": RULE,
        "zerolinecolor": RULE,
        "linecolor": RULE,
        "automargin": True,
        "title": {"standoff": 10},
        "fixedrange": True,
    }
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": INK},
        hoverlabel={"font": {"family": FONT, "size": 12}},
        showlegend=False,
        dragmode=False,
        xaxis={**axis, "tickangle": 0, "nticks": 5, "title": {"text": x_title, "standoff": 10}},
        yaxis={**axis, "title": {"text": y_title, "standoff": 8}},
    )
    return figure


def name_rows(figure: Any, names: list[str], notes: Sequence[str] = ()) -> None:
    """Name the rows 0, 1, … of a horizontal chart from the top; `notes` appear at its right edge."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label(name) + "\u2002" for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(margin={"r": 16 + round(6.3 * max(map(len, notes), default=0))})
    for row, note in enumerate(notes):
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", y=row, text=note, showarrow=False, xshift=6, font={"size": 11}
        )


def rows_height(count: int) -> int:
    """The height in pixels of a horizontal chart with `count` rows, including its axis."""
    return 70 + ROW * count


def error_bars(rows: pl.DataFrame, value: str, low: str, high: str) -> dict[str, Any]:
    """Plotly's error bars: distances from the value; 0 draws none."""
    above = (rows[high] - rows[value]).fill_null(0).clip(lower_bound=0).to_list()
    below = (rows[value] - rows[low]).fill_null(0).clip(lower_bound=0).to_list()
    ends = {"type": "data", "array": above, "arrayminus": below, "symmetric": False}
    return {**ends, "color": GREY, "thickness": 1.4, "width": 3}


def to_html(figure: Any, name: str) -> str:
    """The chart's element and its data. The page's last script draws it after layout.

    `name` becomes the element's id, so that the same data give the same page.
    """
    data = figure.to_json()  # escapes every <
    box = f'<div class="plot" id="{name}" style="height:{figure.layout.height}px"></div>'
    return f'{box}<script type="application/json" data-chart="{name}">{data}</script>'
