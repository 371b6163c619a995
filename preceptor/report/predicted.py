"""Predicted against actual: scores of runs tuned on one teacher's rows, and the prediction before tuning."""

from collections.abc import Iterator
from dataclasses import asdict

import polars as pl

from preceptor.current import current_fingerprints, register_current
from preceptor.lake.schemas import EVAL_SCORES, PREDICTED_ACTUAL, TUNED_CHECKPOINT
from preceptor.lake.warehouse import Warehouse
from preceptor.report.averages import METRIC
from preceptor.report.main_metric import main_metrics
from preceptor.report.rank_correlation import PredictorCorrelation, predictor_correlation
from preceptor.statistics.multiple import holm
from preceptor.study.recipes import OneTeacher
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_runs
from preceptor.suitability.metrics import Form, car_metric, labelled
from preceptor.tuning.learning import doubt

GROUP = ["base", "benchmark", "metric"]
RANK_CORRELATIONS = pl.Schema(
    {
        **dict.fromkeys([*GROUP, "predictor"], pl.String),
        "rho": pl.Float64,
        "n": pl.Int64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p_value": pl.Float64,
        "smallest_significant": pl.Float64,
        "p_adjusted": pl.Float64,
        "tests": pl.Int64,
        "untested": pl.String,
        "reason": pl.String,
        "left_out": pl.Int64,
    }
)


def register_study_runs(warehouse: Warehouse, study: Study) -> None:
    """Register `study_benchmarks` and `study_runs` in a warehouse.

    A run's teacher is null if its recipe is not of kind `teacher`. After the last run of each base follows
    the `untuned` base, without recipe and tuning.
    """
    warehouse.register("study_runs", _study_runs(study).with_row_index("run_index"))
    main = main_metrics(warehouse.rows(EVAL_SCORES.name), study)
    benchmarks = pl.DataFrame(
        [
            (evaluation.name, *main[evaluation.name], evaluation.higher_is_better)
            for evaluation in study.evaluations
        ]
        + [(average.name, METRIC, "", True) for average in study.averages],
        schema={
            **dict.fromkeys(["benchmark", "main_metric", "main_category"], pl.String),
            "higher_is_better": pl.Boolean,
        },
        orient="row",
    )
    warehouse.register("study_benchmarks", benchmarks.with_row_index("benchmark_index"))


def _study_runs(study: Study) -> pl.DataFrame:
    schema = dict.fromkeys(["run", "base", "recipe", "tuning", "teacher"], pl.String)
    last = {run.base: number for number, run in enumerate(study.runs)}
    placed = [
        (number, (run.name, run.base, run.recipe, run.tuning, one_teacher(study, run.recipe), False))
        for number, run in enumerate(study.runs)
    ] + [(last[base], (name, base, None, None, None, True)) for name, base in untuned_runs(study).items()]
    rows = [
        row for _, row in sorted(placed, key=lambda one: one[0])
    ]  # stable sort: a base follows its last run
    return pl.DataFrame(rows, schema={**schema, "untuned": pl.Boolean}, orient="row")


def one_teacher(study: Study, recipe: str) -> str | None:
    """The teacher of a recipe of kind `teacher`; None for any other recipe."""
    declared = study.recipe(recipe)
    return declared.teacher if isinstance(declared, OneTeacher) else None


def predicted_actual(warehouse: Warehouse, study: Study) -> pl.DataFrame:
    """Rows of `predicted_actual`, from a warehouse with ROW_TABLES and the tables computed from them.

    Each seed of a base and teacher is its own row. Registers register_current's views in the warehouse.
    Raises ValueError for a model whose revision cannot be looked up.
    """
    register_current(warehouse, study, current_fingerprints(study))
    register_study_runs(warehouse, study)
    styles = {teacher.name: teacher.style for teacher in study.teachers}
    style = pl.col("teacher").replace_strict(styles, default=None, return_dtype=pl.String)
    there = pl.col("steps").is_not_null() & (pl.col("losses").list.len() > 0)
    tuned = warehouse.rows(TUNED_CHECKPOINT.name).filter(there)
    curves = tuned.select("run", "steps", "losses").iter_rows()
    doubts = {run: doubt(run, steps, losses) for run, steps, losses in curves}
    why = pl.col("run").replace_strict(doubts, default=None, return_dtype=pl.String)
    rows = warehouse.query("report/predicted_actual")
    return PREDICTED_ACTUAL.conform(rows.with_columns(style=style, doubt=why))


def teacher_means(predicted_actual: pl.DataFrame) -> pl.DataFrame:
    """Main metric of each base, benchmark and teacher: means over runs, for values and interval ends.

    All runs share the same items, so the mean interval covers the sampling of items but not the seeds.
    """
    return (
        predicted_actual.filter("main")
        .group_by([*GROUP, "teacher"], maintain_order=True)
        .agg(
            pl.col("value", "low", "high").fill_nan(None).mean(),
            pl.col("value").count().alias("runs"),
            pl.col("run").first(),
            pl.col("car", "car_rank", "unit", "higher_is_better", "style").first(),
            pl.col("differs").any(ignore_nulls=False),
            doubtful=pl.col("doubt").is_not_null().any(),
        )
    )


def rank_correlations(predicted_actual: pl.DataFrame, suitability: pl.DataFrame, form: Form) -> pl.DataFrame:
    """A row per base, benchmark (main metric) and predictor: the rank correlation with the scores.

    Predictors are CAR in the study's form, and every other metric with a value in `suitability`. `left_out`
    counts teachers without a prediction or a score. `p_adjusted` is Holm's over all `tests` of the frame. If
    teachers share a style, nothing is tested and `untested` gives the reason.
    """
    rows = []
    for key, teachers in teacher_means(predicted_actual).group_by(GROUP, maintain_order=True):
        for predictor, predicted in _predicted(teachers, suitability, form):
            found, left_out = _correlation(predicted)
            named = dict(zip(GROUP, key, strict=True))
            rows.append({**named, "predictor": predictor, **asdict(found), "left_out": left_out})
    found_all = pl.DataFrame(rows, schema=RANK_CORRELATIONS)
    adjusted = holm(found_all["p_value"].to_list())
    tests = found_all["p_value"].count()
    return found_all.with_columns(p_adjusted=pl.Series(adjusted, dtype=pl.Float64), tests=pl.lit(tests))


def _predicted(
    teachers: pl.DataFrame, suitability: pl.DataFrame, form: Form
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each metric's label, and the teachers with the value that it `predicted`; higher is better."""
    own = car_metric(form)
    yield "CAR", teachers.with_columns(predicted="car")
    for label, metric in labelled(form).items():
        known = suitability.filter(metric=metric.name).drop_nulls("value")
        if metric is not own and not known.is_empty():
            values = known.select("base", "teacher", predicted=pl.col("value") * metric.sign)
            yield label, teachers.join(values, on=["base", "teacher"], how="left", maintain_order="left")


def _correlation(teachers: pl.DataFrame) -> tuple[PredictorCorrelation, int]:
    better = pl.when("higher_is_better").then(pl.col("value")).otherwise(-pl.col("value"))
    pairs = teachers.select("predicted", "teacher", "style", "differs", "doubtful", value=better)
    pairs = pairs.drop_nulls(["predicted", "value"])
    untested = _nothing_learned(pairs) or _shared(pairs)
    found = predictor_correlation(pairs["predicted"].to_list(), pairs["value"].to_list(), untested)
    return found, teachers.height - pairs.height


def _nothing_learned(teachers: pl.DataFrame) -> str | None:
    """Why there is nothing to predict; None if a student differs from its base, or if that is unknown."""
    differs = teachers["differs"].drop_nulls()
    if not differs.is_empty() and not differs.any():
        return "no student differs significantly from the untuned base"
    few = teachers["doubtful"].sum()
    return f"{few} of {teachers.height} students may have learned little or nothing" if few else None


def _shared(teachers: pl.DataFrame) -> str | None:
    """Why teachers that share a style do not count as independent; None if no two share a style."""
    alone = teachers.filter(pl.col("style").is_null()).height
    styles = teachers["style"].drop_nulls().n_unique()
    if alone + styles == teachers.height:
        return None
    n = f"n = {styles} styles" + (f" and {alone} teachers without a style" if alone else "")
    return f"{n}, not {teachers.height} teachers: teachers that share a style are not independent"
