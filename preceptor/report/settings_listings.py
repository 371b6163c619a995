"""Tables of a ranking's sensitivity: first teacher under other maps and β, ranks by other reward models."""

from typing import Any

import polars as pl

from preceptor.report.first_under import LOSS_ALONE, REWARD_ALONE
from preceptor.report.listings import Listing
from preceptor.report.words import NOTHING, decimals, listed, number, ranks
from preceptor.suitability.metrics import Form, labelled
from preceptor.suitability.table import without_a_value


def first_under_listings(rows: pl.DataFrame) -> list[Listing]:
    """One table per base: a row per map, a column per β, the first teachers in the cells."""
    listings = []
    for (base,), of_base in rows.group_by("base", maintain_order=True):
        grid = of_base.filter(~pl.col("map").is_in([LOSS_ALONE, REWARD_ALONE]))
        betas = grid["beta"].unique().sort().to_list()
        lines = []
        for (name,), of_map in grid.group_by("map", maintain_order=True):
            found = {row["beta"]: listed(row["first"]) for row in of_map.iter_rows(named=True)}
            lines.append((str(name), *(found.get(beta, NOTHING) for beta in betas)))
        limits = [
            f"{name[:1].upper()}{name[1:]}: {listed(first)}."
            for name, first in of_base.filter(pl.col("map").is_in([LOSS_ALONE, REWARD_ALONE]))
            .select("map", "first")
            .iter_rows()
        ]
        columns = ("reward map", *(f"β = {beta:g}" for beta in betas))
        listings.append(Listing(columns, lines, words=len(columns), title=str(base), notes=tuple(limits)))
    return listings


def suitability_listings(rows: pl.DataFrame, ranking: pl.DataFrame, form: Form) -> list[Listing]:
    """One table per base: its ranked teachers in the order of CAR, and their rank by every metric."""
    metrics = labelled(form)
    listings = []
    for (base,), of_base in rows.group_by("base", maintain_order=True):
        ranks_by = {(row["teacher"], row["metric"]): row for row in of_base.iter_rows(named=True)}
        ranked = ranking.filter(pl.col("base") == base, pl.col("missing").is_null())["teacher"].to_list()
        lines = [
            (teacher, *(_possible(ranks_by.get((teacher, metric.name))) for metric in metrics.values()))
            for teacher in ranked
        ]
        reasons = dict(without_a_value(of_base).select("metric", "missing").iter_rows())
        notes = tuple(
            f"{label}: {reasons[metric.name]}." for label, metric in metrics.items() if metric.name in reasons
        )
        if lines:
            listings.append(Listing(("teacher", *metrics), lines, title=str(base), notes=notes))
    return listings


def _possible(row: dict[str, Any] | None) -> str:
    """A rank, with its interval in brackets."""
    if row is None or row["rank"] is None:
        return NOTHING
    possible = ranks(row["rank_low"], row["rank_high"])
    return possible if possible == str(row["rank"]) else f"{row['rank']} ({possible})"


def reward_model_listings(rankings: pl.DataFrame) -> list[Listing]:
    """One table per base: each teacher's rank, CAR and mean reward by each model. Empty for one model."""
    models = rankings["reward_model"].unique(maintain_order=True).to_list()
    if len(models) < 2:
        return []
    columns = ("teacher", *(f"{model}: {name}" for model in models for name in ("rank", "CAR", "r")))
    listings = []
    for (base,), of_base in rankings.group_by("base", maintain_order=True):
        lines = []
        for (teacher,), of_teacher in of_base.group_by("teacher", maintain_order=True):
            by_model = {row["reward_model"]: row for row in of_teacher.iter_rows(named=True)}
            cells = [text for model in models for text in _cells(by_model.get(model))]
            lines.append((str(teacher), *cells))
        listings.append(Listing(columns, lines, title=str(base)))
    return listings


def _cells(row: dict[str, float | None] | None) -> tuple[str, str, str]:
    if row is None:
        return NOTHING, NOTHING, NOTHING
    rank = row["rank"]
    return NOTHING if rank is None else f"{rank:g}", number(row["car"]), number(row["mean_reward"])


def reward_correlation_listing(correlations: pl.DataFrame) -> Listing:
    """Rank correlations of all pairs of reward models on a base, over teachers and over responses."""
    columns = (
        *("reward models", "base", "ρ of CAR", "Kendall's τ of CAR", "ρ of r", "teachers"),
        *("ρ of responses", "responses"),
    )
    rows = [
        (
            f"{row['first']} and {row['second']}",
            row["base"],
            *(decimals(row[name]) for name in ("rho_car", "tau_car", "rho_reward")),
            str(row["teachers"]),
            decimals(row["rho_responses"]),
            number(row["responses"], 9),
        )
        for row in correlations.iter_rows(named=True)
    ]
    notes = (
        "ρ and τ are over teachers, for CAR and for the mean reward r, with the study's map and β. They are"
        " not tested.",
        "ρ of responses: Spearman's ρ within instructions, over responses that both models scored.",
    )
    return Listing(columns, rows, words=2, notes=notes)
