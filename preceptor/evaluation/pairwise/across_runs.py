"""Length control over all runs of a benchmark: values per item, and one formula for all runs."""

import polars as pl

from preceptor.evaluation.item_values import LINEAR, SCHEMA, ItemValues, StoredRuns, mean_values
from preceptor.evaluation.items import read_items
from preceptor.evaluation.pairwise.difficulty import difficulty_at_hand
from preceptor.evaluation.pairwise.length_control import FULL, METHODS, METRICS, length_controlled_values
from preceptor.evaluation.pairwise.metrics import in_file_order, lengths
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.study.evaluation import Pairwise

ENDS = ("value", "low", "high")
OTHER_FORMULA = (
    "scored without instruction difficulty, while other runs have the full formula: materialize eval_results"
    " of this run again"
)


def values(runs: StoredRuns[Pairwise], metric: str, category: str) -> ItemValues:
    """The values per item of a win rate, plain or length-controlled.

    Raises BenchmarkError or RecordsError if a file of length control is unreadable.
    """
    if metric != METRICS[FULL]:
        return mean_values(runs, metric, category)
    items = read_items(runs.evaluation)
    difficulty = difficulty_at_hand(runs.lake, runs.evaluation, items)
    frames, why = [pl.DataFrame(schema=SCHEMA)], {}
    for (run,), of_run in runs.outcomes(category).group_by("run", maintain_order=True):
        if difficulty is None:
            why[str(run)] = "the files of length control are missing"
            continue
        counted = in_file_order(of_run, items)
        found = length_controlled_values(lengths(counted), difficulty)
        if isinstance(found, str):
            why[str(run)] = found
        else:
            named = {"run": [run] * counted.height, "item_id": counted["item_id"], "value": found}
            frames.append(pl.DataFrame(named, schema=SCHEMA))
    return ItemValues(pl.concat(frames), LINEAR, None, why)


def one_formula(runs: StoredRuns[Pairwise], scores: pl.DataFrame) -> pl.DataFrame:
    """If some runs have the full length control, add a row with an error for the runs without it.

    An untuned base does not make runs outdated, even if it was evaluated later with the full formula.
    """
    full = scores.filter(~pl.col("run").is_in(list(runs.untuned)), metric=METRICS[FULL])
    if full.is_empty():
        return scores
    others = scores.filter(metric="win_rate", category="").join(
        full, on=list(EVAL_SCORES.partition_by), how="anti"
    )
    outdated = others.with_columns(
        *(pl.lit(None, pl.Float64).alias(name) for name in ENDS),
        metric=pl.lit(METRICS[FULL]),
        method=pl.lit(METHODS[FULL]),
        error=pl.lit(OTHER_FORMULA),
    )
    return pl.concat([scores, outdated])
