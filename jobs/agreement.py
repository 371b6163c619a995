"""Predicted against actual as text for a terminal."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from preceptor.report.missing import doubtful_runs
from preceptor.report.predicted import GROUP, teacher_means
from preceptor.report.rank_correlation import conclusion, correlation_of
from preceptor.report.untuned import untuned_sentence


def agreement_text(
    predicted_actual: pl.DataFrame,
    found: pl.DataFrame,
    checkpoints: pl.DataFrame,
    differences: pl.DataFrame,
) -> str:
    """One block per base and benchmark: each teacher's actual and predicted rank, then Spearman's ρ of CAR.

    `found` are the `rank_correlations` of all predictors; CAR's p-value is adjusted for all of these tests.

    Two remarks precede ρ, because they limit what it means: students that do not differ from their untuned
    base (rows of `eval_differences`), and students that learned little (rows of `tuned_checkpoint`).
    """
    means, found = teacher_means(predicted_actual), found.filter(predictor="CAR")
    doubts = doubtful_runs(checkpoints)
    lines = []
    for key, teachers in means.group_by(GROUP, maintain_order=True):
        group = dict(zip(GROUP, key, strict=True))
        runs = predicted_actual.filter("main", **group)["run"].to_list()
        compared = differences.filter(base=group["base"], benchmark=group["benchmark"])
        against = untuned_sentence(compared, bool(teachers["higher_is_better"][0]))
        learned = _doubtful([doubts[run] for run in runs if run in doubts], len(runs))
        lines += _block(group, teachers, found, [f"  {said}" for said in (against, learned) if said])
    return "\n".join(lines)


def _doubtful(sentences: list[str], runs: int) -> str | None:
    """All doubts in one line: the number of runs and the first doubt."""
    if len(sentences) < 2:
        return f"! {sentences[0]}" if sentences else None
    return f"! {len(sentences)} of {runs} runs may have learned little or nothing, first: {sentences[0]}"


def _block(
    group: dict[str, object], teachers: pl.DataFrame, found: pl.DataFrame, remarks: list[str]
) -> Iterator[str]:
    correlation = correlation_of(found.filter(**group).row(0, named=True))
    yield f"{group['base']} on {group['benchmark']} ({group['metric']}): Spearman, predicted against actual"
    lower_is_better = pl.when("higher_is_better").then(-pl.col("value")).otherwise("value")
    ranked = teachers.with_columns(lower_is_better.rank("min").alias("place")).sort("place", nulls_last=True)
    width = max(len(teacher) for teacher in ranked["teacher"])
    yield f"  actual  predicted  {'tuned on':{width}}  {group['metric']} [low, high]"
    for row in ranked.iter_rows(named=True):
        places = f"{_place(row['place']):>6}  {_place(row['car_rank']):>9}"
        yield f"  {places}  {row['teacher']:{width}}  {_score(row)}"
    yield from remarks
    yield f"  {conclusion(correlation)}"
    yield ""


def _place(rank: float | None) -> str:
    return "–" if rank is None else f"{rank:g}"


def _score(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return "no score"
    value, low, high = (_measured(row[name], row["unit"]) for name in ("value", "low", "high"))
    return value + (f" [{low}, {high}]" if low and high else "")


def _measured(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if unit == "share" else f"{value:.3f}"
