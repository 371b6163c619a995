"""Arena-Hard at controlled style over all runs at once, as its authors fit it: models share the coefficients.

Alone, a run's games hardly tell its strength from its style; beside others they do.
"""

import polars as pl

from preceptor.evaluation.arena_hard.battles import battles_of
from preceptor.evaluation.arena_hard.benchmark import BATTLES, parts
from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates
from preceptor.evaluation.arena_hard.reading import read_arena
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, JUDGMENTS
from preceptor.lake.warehouse import Warehouse
from preceptor.study.evaluation import ArenaHard
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_runs

METRIC = "style_controlled_win_rate"
METHOD = (
    "Bradley-Terry win rate with the {} authors' style features (length in words and punctuation marks,"
    f" headers, lists, bold), fitted to the games of {{}} runs together; {BATTLES}"
)


def fit_style_jointly(warehouse: Warehouse, study: Study) -> None:
    """Replace each run's own fit in the warehouse's `eval_scores` by the joint one, not in the lake.

    Untuned bases are fitted beside the runs, and change nothing of theirs: they are no models of the study.
    """
    scores = warehouse.rows(EVAL_SCORES.name).select(list(EVAL_SCORES.schema))
    names = list(untuned_runs(study))
    for evaluation in study.evaluations:
        if isinstance(evaluation, ArenaHard):
            battles = _battles(warehouse, evaluation)
            alone = _refitted(scores, evaluation, battles.filter(~pl.col("model").is_in(names)))
            there = set(names) & set(battles["model"])  # a second fit takes as long as the first
            beside = _refitted(scores, evaluation, battles) if there else scores
            untuned = pl.col("run").is_in(names)
            scores = pl.concat([alone.filter(~untuned), beside.filter(untuned)])
    warehouse.register(EVAL_SCORES.name, scores)


def _battles(warehouse: Warehouse, evaluation: ArenaHard) -> pl.DataFrame:
    results = warehouse.rows(EVAL_RESULTS.name).filter(benchmark=evaluation.name)
    judgments = warehouse.rows(JUDGMENTS.name).filter(benchmark=evaluation.name)
    runs = results["run"].unique(maintain_order=True).to_list()
    return pl.concat(
        [battles_of("", results.clear(), judgments.clear())]
        + [battles_of(run, results.filter(run=run), judgments.filter(run=run)) for run in runs]
    )


def _refitted(scores: pl.DataFrame, evaluation: ArenaHard, battles: pl.DataFrame) -> pl.DataFrame:
    if battles["model"].n_unique() < 2:
        return scores
    arena = read_arena(evaluation)
    fits = [style_controlled_win_rates(part, arena.version) for part in parts(battles, arena)]
    rates = pl.concat([fit.win_rates for fit in fits])
    method = METHOD.format(arena.version, battles["model"].n_unique())
    fitted = rates.select(
        run="model",
        benchmark=pl.lit(evaluation.name),
        metric=pl.lit(METRIC),
        category="category",
        joint_value="value",
        joint_low="low",
        joint_high="high",
        joint_method=pl.concat_str(pl.lit(method), "reason", separator="; ", ignore_nulls=True),
    )
    joined = scores.join(
        fitted, on=["run", "benchmark", "metric", "category"], how="left", maintain_order="left"
    )
    # A run that style alone separates has no fit of its own and may have one here; lost answers stay lost.
    balanced = pl.sum_horizontal("judged", "failed", "filtered") == pl.col("expected")
    there = pl.col("joint_value").is_not_null() & balanced
    replaced = {
        name: pl.when(there).then(f"joint_{name}").otherwise(name)
        for name in ("value", "low", "high", "method")
    }
    told = pl.when(there).then(None).otherwise("error")
    return joined.with_columns(**replaced, error=told).select(list(EVAL_SCORES.schema))
