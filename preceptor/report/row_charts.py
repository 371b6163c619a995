"""Charts of the distribution of lengths, rewards and losses, and of the training loss by step."""

import polars as pl

from preceptor.report.chart import colour, dash, label, name_rows, new_figure, rows_height, to_html
from preceptor.report.words import number


def spread_chart(spread: pl.DataFrame, title: str, colours: dict[str, int], name: str) -> str:
    """One box per teacher: quartiles, the mean (dashed), and whiskers from the 5 % to the 95 % quantile."""
    figure = new_figure(rows_height(spread.height), title)
    for row, teacher in enumerate(spread.iter_rows(named=True)):
        figure.add_box(
            y=[row],
            q1=[teacher["q25"]],
            median=[teacher["q50"]],
            q3=[teacher["q75"]],
            lowerfence=[teacher["q05"]],
            upperfence=[teacher["q95"]],
            mean=[teacher["mean"]],
            orientation="h",
            width=0.55,
            line={"color": colour(colours[teacher["teacher"]]), "width": 1.5},
            hoverinfo="x",
            name=label(teacher["teacher"]),
        )
    name_rows(figure, spread["teacher"].to_list(), [number(mean) for mean in spread["mean"]])
    return to_html(figure, name)


def loss_curve_chart(checkpoints: pl.DataFrame, colours: dict[str, int], name: str) -> str:
    """Training loss by step, one line per run, coloured by recipe."""
    figure = new_figure(330, "optimizer step", "training loss, nats per token")
    for row in checkpoints.iter_rows(named=True):
        line = {"color": colour(colours[row["recipe"]]), "dash": dash(colours[row["recipe"]]), "width": 1.6}
        figure.add_scatter(
            x=row["loss_steps"],
            y=row["losses"],
            mode="lines",
            line=line,
            hovertemplate=f"{label(row['run'])}: %{{y:.3f}} at step %{{x}}<extra></extra>",
        )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(rangemode="tozero")
    return to_html(figure, name)
