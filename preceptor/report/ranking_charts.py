"""Charts of the ranking: CAR with its intervals, and its sensitivity to β."""

import polars as pl

from preceptor.report.chart import (
    RULE,
    colour,
    dash,
    error_bars,
    label,
    name_rows,
    new_figure,
    rows_height,
    to_html,
)
from preceptor.report.words import number, ranks


def car_chart(ranked: pl.DataFrame, colours: dict[str, int], name: str) -> str:
    """One base's ranked teachers: CAR, its interval, and the rank interval at the right edge."""
    rows = ranked.sort("rank", maintain_order=True)
    notes = [ranks(low, high) for low, high in rows.select("rank_low", "rank_high").iter_rows()]
    figure = new_figure(rows_height(rows.height), "CAR")
    figure.add_scatter(
        x=rows["car"].to_list(),
        y=list(range(rows.height)),
        mode="markers",
        marker={"size": 9, "color": [colour(colours[teacher]) for teacher in rows["teacher"]]},
        error_x=error_bars(rows, "car", "car_low", "car_high"),
        hovertext=[
            f"{label(row['teacher'])}: CAR {number(row['car'], 4)}, r {number(row['mean_reward'], 4)},"
            f" L {number(row['mean_loss'], 4)}"
            for row in rows.iter_rows(named=True)
        ],
        hoverinfo="text",
    )
    name_rows(figure, rows["teacher"].to_list(), notes)
    figure.update_xaxes(nticks=3)
    return to_html(figure, name)


def sweep_chart(sweep: pl.DataFrame, beta: float, colours: dict[str, int], name: str) -> str:
    """One base's ranks by β, one line per teacher; the study's β is shaded."""
    betas = sweep["beta"].unique().sort().to_list()
    figure = new_figure(rows_height(sweep["teacher"].n_unique()), "β, the weight of the loss", "rank")
    for (teacher,), rows in sweep.group_by("teacher", maintain_order=True):
        places = [betas.index(value) for value in rows["beta"]]
        figure.add_scatter(
            x=places,
            y=rows["rank"].to_list(),
            mode="lines+markers",
            line={"color": colour(colours[str(teacher)]), "dash": dash(colours[str(teacher)]), "width": 2},
            marker={"size": 6},
            hovertext=[
                f"{label(str(teacher))}: rank {rank} at β = {value:g}"
                for rank, value in rows.select("rank", "beta").iter_rows()
            ],
            hoverinfo="text",
        )
    ends = sweep.filter(beta=betas[-1]).group_by("rank", maintain_order=True).agg("teacher")
    for rank, teachers in ends.iter_rows():
        text = ", ".join(label(teacher) for teacher in teachers)
        figure.add_annotation(
            x=len(betas) - 1, y=rank, text=text, showarrow=False, xanchor="left", xshift=8, font={"size": 11}
        )
    longest = max(len(label(teacher)) for teacher in sweep["teacher"])
    figure.update_layout(margin={"r": 16 + round(6.4 * longest)})
    figure.update_xaxes(
        tickvals=list(range(len(betas))),
        ticktext=[f"{value:g}" for value in betas],
        range=[-0.2, len(betas) - 0.9],  # else plotly reserves space for the names twice
        zeroline=False,
    )
    figure.update_yaxes(autorange="reversed", dtick=1, zeroline=False, showgrid=False)
    figure.add_vline(x=betas.index(beta), line={"color": RULE, "width": 14}, layer="below")
    return to_html(figure, name)
