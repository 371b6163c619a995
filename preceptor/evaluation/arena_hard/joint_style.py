"""Arena-Hard's style control fitted to all runs together, as its authors do: models share coefficients.

The games of a single run hardly separate its strength from its style. The games of several runs do.
"""

import polars as pl

from preceptor.evaluation.arena_hard.battles import BATTLES, battles_of_runs, parts
from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates
from preceptor.evaluation.arena_hard.reading import read_arena
from preceptor.evaluation.item_values import StoredRuns
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.study.evaluation import ArenaHard

METRIC = "style_controlled_win_rate"
METHOD = (
    "Bradley-Terry win rate with the {} authors' style features (length in words and punctuation marks,"
    f" headers, lists, bold), fitted to the games of {{}} runs together; {BATTLES}"
)


def fitted_jointly(runs: StoredRuns[ArenaHard], scores: pl.DataFrame) -> pl.DataFrame:
    """Replace each run's own fit in the scores by the joint fit.

    Untuned bases are fitted together with the runs, but do not change the runs' scores.
    """
    battles, untuned = battles_of_runs(runs.results, runs.judgments), list(runs.untuned)
    alone = _refitted(scores, runs.evaluation, battles.filter(~pl.col("model").is_in(untuned)))
    there = set(untuned) & set(battles["model"])  # a second fit takes as long as the first
    beside = _refitted(scores, runs.evaluation, battles) if there else scores
    of_base = pl.col("run").is_in(untuned)
    return pl.concat([alone.filter(~of_base), beside.filter(of_base)])


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
    # A run without a finite fit of its own may have one here. Scores with lost answers keep their error.
    balanced = pl.sum_horizontal("judged", "failed", "filtered") == pl.col("expected")
    there = pl.col("joint_value").is_not_null() & balanced
    replaced = {
        name: pl.when(there).then(f"joint_{name}").otherwise(name)
        for name in ("value", "low", "high", "method")
    }
    told = pl.when(there).then(None).otherwise("error")
    return joined.with_columns(**replaced, error=told).select(list(EVAL_SCORES.schema))
