"""The values by item on which differences are tested, for each benchmark's main metric and each average."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from preceptor.evaluation.item_values import LINEAR, SCHEMA, ItemValues, StoredRuns
from preceptor.evaluation.kind import kind_of
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.lake.warehouse import Warehouse
from preceptor.records import RecordsError
from preceptor.report.all_runs import stored_runs
from preceptor.report.averages import METRIC
from preceptor.report.main_metric import main_metrics
from preceptor.statistics.estimates import NOTHING
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.schema import Study


@dataclass(frozen=True)
class Tested:
    """A benchmark's main metric as `predicted_actual` names it, its category, and its values by item."""

    metric: str
    category: str
    items: ItemValues


def tested_values(warehouse: Warehouse, study: Study) -> dict[str, Tested]:
    """The tested values by benchmark and average, for every run and untuned base that has rows."""
    main = main_metrics(warehouse.rows(EVAL_SCORES.name), study)
    found = {}
    for evaluation in study.evaluations:
        metric, category = main[evaluation.name]
        label = f"{metric} on {category}" if category else metric
        runs = stored_runs(warehouse, study, evaluation)
        found[evaluation.name] = Tested(label, category, _values(runs, metric, category))
    for average in study.averages:
        parts = [found[name].items for name in average.of]
        found[average.name] = Tested(METRIC, "", average_values(parts))
    return found


def average_values(parts: Sequence[ItemValues]) -> ItemValues:
    """Values by item for the mean of several benchmarks' metrics.

    A value is that mean plus the item's weighted distances from each benchmark's mean. An item that two
    benchmarks share is one item. It has no value if the run lacks it in one of them. A run that lacks a whole
    benchmark has no values.
    """
    means = pl.col("value").mean().over("run")
    moved = (pl.col("value") - means) / (len(parts) * pl.len().over("run"))
    apart = pl.concat([part.values.with_columns(moved=moved) for part in parts])
    whole = set.intersection(*(set(part.values["run"]) for part in parts))
    asked = (
        pl.concat([part.values.select("item_id").unique() for part in parts]).group_by("item_id").len("asked")
    )
    items = (
        apart.filter(pl.col("run").is_in(whole))
        .group_by("run", "item_id", maintain_order=True)
        .agg(pl.col("moved").sum(), there=pl.len())
        .join(asked, on="item_id", maintain_order="left")
        .join(_averages(parts), on="run", maintain_order="left")
        .with_columns(value=pl.col("average") + pl.len().over("run") * pl.col("moved"))
        .filter(pl.col("there") == pl.col("asked"))
    )
    lacking = {run for part in parts for run in part.values["run"]} - whole
    why = dict.fromkeys(sorted(lacking), "one of the benchmarks has no value")
    return ItemValues(items.select(list(SCHEMA)), LINEAR, None, why)


def _averages(parts: Sequence[ItemValues]) -> pl.DataFrame:
    metrics = [part.values.group_by("run").agg(metric=pl.col("value").mean()) for part in parts]
    return pl.concat(metrics).group_by("run").agg(average=pl.col("metric").mean())


def _values(stored: StoredRuns[AnyEvaluation], metric: str, category: str) -> ItemValues:
    runs = stored.results["run"].unique(maintain_order=True).to_list()
    try:
        found = kind_of(stored.evaluation).values(stored, metric, category)
    except (BenchmarkError, RecordsError) as error:
        return ItemValues(pl.DataFrame(schema=SCHEMA), why=dict.fromkeys(runs, str(error)))
    silent = set(runs) - set(found.values["run"])
    return replace(found, why={run: found.why.get(run, NOTHING) for run in runs if run in silent})
