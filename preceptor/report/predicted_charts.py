"""Charts of predicted against actual scores, and of each metric's rank correlation."""

from collections.abc import Sequence

import polars as pl

from preceptor.report.chart import (
    GREY,
    colour,
    error_bars,
    label,
    name_rows,
    new_figure,
    rows_height,
    to_html,
)
from preceptor.report.words import decimals, measured, number
from preceptor.statistics.correlation import RankCorrelation

# Pixels on a phone, where labels have least room: the points' range, a letter, a line, a point.
WIDE, HIGH = 230, 240
LETTER, LINE, POINT = 6.2, 14, 6
MARGIN = 0.16  # of the range, left and right of the points
SIDES = {  # places of a label: left edge in label widths and in pixels, middle in pixels above the point
    "middle right": (0.0, 9, 0),
    "middle left": (-1.0, -9, 0),
    "top center": (-0.5, 0, 14),
    "bottom center": (-0.5, 0, -14),
    "top right": (0.0, 4, 11),
    "top left": (-1.0, -4, 11),
    "bottom right": (0.0, 4, -11),
    "bottom left": (-1.0, -4, -11),
}
Box = tuple[float, float, float, float]  # left, bottom, right, top


def scatter_chart(teachers: pl.DataFrame, found: RankCorrelation, colours: dict[str, int], name: str) -> str:
    """CAR before tuning against the main metric after it: one point per teacher, with its interval."""
    rows = teachers.drop_nulls(["car", "value"])
    figure = new_figure(380, "CAR, before tuning", "after tuning")
    figure.add_scatter(
        x=rows["car"].to_list(),
        y=rows["value"].to_list(),
        mode="markers+text",
        text=[label(teacher) for teacher in rows["teacher"]],
        textposition=label_sides(*(rows[column].to_list() for column in ("car", "value", "teacher"))),
        textfont={"size": 11},
        marker={"size": 10, "color": [colour(colours[teacher]) for teacher in rows["teacher"]]},
        error_y=error_bars(rows, "value", "low", "high"),
        cliponaxis=False,
        hovertext=[
            f"{label(teacher)}: CAR {number(car, 4)}, {measured(value, unit)}, mean of {runs} run(s)"
            for teacher, car, value, unit, runs in rows.select(
                "teacher", "car", "value", "unit", "runs"
            ).iter_rows()
        ],
        hoverinfo="text",
    )
    title = "ρ cannot be computed" if found.rho is None else f"ρ = {found.rho:.2f}"
    if found.low is not None:
        title += f" ({decimals(found.low)} to {decimals(found.high)})"
    figure.update_layout(title={"text": title, "font": {"size": 13}, "x": 0, "xref": "paper", "y": 0.98})
    figure.update_layout(margin={"t": 34})
    figure.update_xaxes(range=_padded(rows["car"].to_list()))
    if rows["unit"].eq("share").all():
        figure.update_yaxes(tickformat=".0%")
    return to_html(figure, name)


def label_sides(x: Sequence[float], y: Sequence[float], names: Sequence[str]) -> list[str]:
    """The side of its point for each label, chosen to cover few points and labels and to stay inside."""
    points = [(WIDE * a, HIGH * b) for a, b in zip(_unit(x), _unit(y), strict=True)]
    taken = [(a - POINT, b - POINT, a + POINT, b + POINT) for a, b in points]
    sides = []
    for (a, b), name in zip(points, names, strict=True):
        boxes = {side: _box(a, b, LETTER * len(label(name)), *place) for side, place in SIDES.items()}
        side = min(boxes, key=lambda each: _covered(boxes[each], taken))
        taken.append(boxes[side])
        sides.append(side)
    return sides


def _box(a: float, b: float, width: float, widths: float, right: float, up: float) -> Box:
    left, middle = a + widths * width + right, b + up
    return left, middle - LINE / 2, left + width, middle + LINE / 2


def predictor_chart(rows: pl.DataFrame, name: str) -> str:
    """One bar of ρ per predictor, with 95 % intervals, for one base on one benchmark."""
    figure = new_figure(rows_height(rows.height), "Spearman's ρ with the scores after tuning")
    figure.add_bar(
        x=rows["rho"].to_list(),
        y=list(range(rows.height)),
        orientation="h",
        width=0.5,
        marker={
            "color": [colour(0) if predictor == "CAR" else GREY for predictor in rows["predictor"]],
            "opacity": 0.5,  # the interval must stay visible
        },
        error_x=error_bars(rows, "rho", "low", "high"),
        hovertext=[
            f"{predictor}: ρ = {decimals(rho)}"
            for predictor, rho in rows.select("predictor", "rho").iter_rows()
        ],
        hoverinfo="text",
    )
    name_rows(figure, rows["predictor"].to_list(), [decimals(rho) for rho in rows["rho"]])
    figure.update_xaxes(range=[-1.05, 1.05], tickvals=[-1, -0.5, 0, 0.5, 1], zerolinewidth=2)
    return to_html(figure, name)


def _covered(box: Box, taken: list[Box]) -> float:
    """Square pixels of other labels, points and the outside that a label would cover."""
    area = 0.0
    for other in taken:
        wide = min(box[2], other[2]) - max(box[0], other[0])
        high = min(box[3], other[3]) - max(box[1], other[1])
        area += max(wide, 0) * max(high, 0)
    outside = max(-MARGIN * WIDE - box[0], 0) + max(box[2] - (1 + MARGIN) * WIDE, 0)
    return area + LINE * outside


def _unit(values: Sequence[float]) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [0.5 if high == low else (value - low) / (high - low) for value in values]


def _padded(values: list[float]) -> list[float] | None:
    margin = MARGIN * (max(values) - min(values))
    return [min(values) - margin, max(values) + margin] if margin else None
