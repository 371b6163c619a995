"""What each item adds to a benchmark's main metric, so that two runs can be compared on that very metric.

The values of a run's items have the metric as their mean. Of a mean they are the items' own outcomes; of a
ratio or a regression each is the metric plus n times the item's influence on it (Hampel, JASA 69, 1974),
which makes tests of means hold for the metric in large samples.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.evaluation.arena_hard.influence import arena_values
from preceptor.evaluation.difficulty import Difficulty, difficulty_at_hand
from preceptor.evaluation.duels import in_file_order, lengths
from preceptor.evaluation.held_out.loss import LARGEST_EXPONENT
from preceptor.evaluation.humaneval.passing import pass_at_k
from preceptor.evaluation.items import read_items
from preceptor.evaluation.length_control import FULL, METRICS, length_controlled_values
from preceptor.evaluation.lm_eval.benchmark import preset_of
from preceptor.lake.store import Lake
from preceptor.statistics.clusters import ratio
from preceptor.study.benchmarks import HumanEval, LmEval
from preceptor.study.evaluation import AnyEvaluation, ArenaHard, Grades, Pairwise
from preceptor.study.held_out import HeldOutLoss, ResponseRanking
from preceptor.study.human_ratings import HumanRatings

Floats = NDArray[np.float64]
LINEAR = "each item's influence on the metric"
SCHEMA = {"run": pl.String, "item_id": pl.String, "value": pl.Float64}
SAID = {"excellent_share": "excellent", "acceptance_rate": "yes", "win_share": "win"}


@dataclass(frozen=True)
class ItemValues:
    """A row a run and item (SCHEMA), what the values are, and the largest difference that two can have.

    `why` says of a run without values why it has none. `largest` is None where there is no bound.
    """

    values: pl.DataFrame
    how: str = ""
    largest: float | None = None
    why: dict[str, str] = field(default_factory=dict)


def item_values(
    lake: Lake,
    evaluation: AnyEvaluation,
    metric: str,
    category: str,
    tables: tuple[pl.DataFrame, pl.DataFrame],
    beside: Collection[str] = (),
) -> ItemValues:
    """Values of all runs in the benchmark's rows of `eval_results` and `judgments` (`tables`).

    Untuned bases are `beside` the runs: fitted with them, they change nothing of theirs. Raises
    BenchmarkError or RecordsError where a file of the benchmark cannot be read, which length and style
    control need.
    """
    results, _ = tables
    if isinstance(evaluation, ArenaHard):
        values, why = arena_values(evaluation, metric, category, tables, beside)
        return ItemValues(values, LINEAR, None, why)
    outcomes = results.filter(task=category) if category else results
    there = outcomes.drop_nulls("outcome")
    if isinstance(evaluation, Pairwise) and metric == METRICS[FULL]:
        return _length_controlled(lake, evaluation, there)
    make = _maker(evaluation, metric)
    if make is None:
        means = there.group_by("run", "item_id", maintain_order=True).agg(value=pl.col("outcome").mean())
        return ItemValues(means.select(list(SCHEMA)), "", 5.0 if isinstance(evaluation, Grades) else 1.0)
    values, linear = _by_run(there, make), not isinstance(evaluation, HumanEval | HumanRatings)
    return ItemValues(values, LINEAR if linear else "", None if linear else 1.0)


Make = Callable[[pl.DataFrame], tuple[list[str], Floats]]  # a run's rows → its items and their values


def _maker(evaluation: AnyEvaluation, metric: str) -> Make | None:
    """How a run's values are made; None where they are the means of its items' outcomes."""
    if isinstance(evaluation, HumanEval):
        return lambda rows: _passing(rows, evaluation.k)
    if isinstance(evaluation, LmEval) and preset_of(evaluation).mean_over == "tasks":
        return _mean_of_tasks
    if isinstance(evaluation, ResponseRanking):
        return lambda rows: _pairs_won(rows, metric)
    if isinstance(evaluation, HeldOutLoss):
        return _perplexity if metric == "perplexity" else _losses
    if isinstance(evaluation, HumanRatings):
        return lambda rows: (rows["item_id"].to_list(), _measure(rows, SAID[metric]))
    return None


def _by_run(rows: pl.DataFrame, make: Make) -> pl.DataFrame:
    frames = [pl.DataFrame(schema=SCHEMA)]
    for (run,), of_run in rows.group_by("run", maintain_order=True):
        items, values = make(of_run)
        frames.append(
            pl.DataFrame({"run": [run] * len(items), "item_id": items, "value": values}, schema=SCHEMA)
        )
    return pl.concat(frames)


def _passing(rows: pl.DataFrame, k: int) -> tuple[list[str], Floats]:
    counts = rows.group_by("item_id", maintain_order=True).agg(n=pl.len(), c=pl.col("outcome").sum())
    enough = counts.filter(pl.col("n") >= k)
    found = [pass_at_k(n, int(c), k) for n, c in enough.select("n", "c").iter_rows()]
    return enough["item_id"].to_list(), np.array(found)


def _mean_of_tasks(rows: pl.DataFrame) -> tuple[list[str], Floats]:
    """The mean over tasks, plus what an item's distance from its task's mean weighs in it."""
    tasks = rows["task"].unique()
    mean = rows.group_by("task").agg(pl.col("outcome").mean())["outcome"].mean()
    apart = pl.col("outcome") - pl.col("outcome").mean().over("task")
    weight = rows.height / (len(tasks) * pl.len().over("task"))
    return rows["item_id"].to_list(), rows.select(mean + weight * apart).to_series().to_numpy()


def _pairs_won(rows: pl.DataFrame, measure: str) -> tuple[list[str], Floats]:
    pairs = _measure(rows, f"{measure}_pairs")
    return rows["item_id"].to_list(), ratio(pairs * _measure(rows, measure), pairs).values


def _losses(rows: pl.DataFrame) -> tuple[list[str], Floats]:
    return rows["item_id"].to_list(), rows["outcome"].to_numpy().astype(np.float64)


def _perplexity(rows: pl.DataFrame) -> tuple[list[str], Floats]:
    """exp of the loss by token; an item moves it by exp's slope times what it moves the loss."""
    by_token = ratio(_measure(rows, "nll_sum"), _measure(rows, "tokens")).values
    loss = float(by_token.mean())
    if loss > LARGEST_EXPONENT:
        return [], np.array([])
    return rows["item_id"].to_list(), np.exp(loss) * (1 + by_token - loss)


def _measure(rows: pl.DataFrame, name: str) -> Floats:
    """One of the rows' `measures` by name; 0 where a row does not have it."""
    found = [
        next((each["value"] for each in measures or [] if each["name"] == name), 0.0)
        for measures in rows["measures"].to_list()
    ]
    return np.array(found, dtype=np.float64)


def _length_controlled(lake: Lake, evaluation: Pairwise, rows: pl.DataFrame) -> ItemValues:
    items = read_items(evaluation)
    difficulty: Difficulty | None = difficulty_at_hand(lake, evaluation, items)
    frames, why = [pl.DataFrame(schema=SCHEMA)], {}
    for (run,), of_run in rows.group_by("run", maintain_order=True):
        if difficulty is None:
            why[str(run)] = "the files of length control are not at hand"
            continue
        counted = in_file_order(of_run, items)
        found: Any = length_controlled_values(lengths(counted), difficulty)
        if isinstance(found, str):
            why[str(run)] = found
        else:
            named = {"run": [run] * counted.height, "item_id": counted["item_id"], "value": found}
            frames.append(pl.DataFrame(named, schema=SCHEMA))
    return ItemValues(pl.concat(frames), LINEAR, None, why)
