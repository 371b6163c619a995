"""What each item adds to a benchmark's main metric, so that two runs can be compared on that very metric.

The values of a run's items have the metric as their mean. Of a mean they are the items' own outcomes; of a
ratio or a regression each is the metric plus n times the item's influence on it (Hampel, JASA 69, 1974),
which makes tests of means hold for the metric in large samples. Each kind says how (kind.py, `values`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.evaluation.job import Declared
from preceptor.lake.store import Lake

Floats = NDArray[np.float64]
LINEAR = "each item's influence on the metric"
SCHEMA = {"run": pl.String, "item_id": pl.String, "value": pl.Float64}


@dataclass(frozen=True)
class StoredRuns(Generic[Declared]):
    """A benchmark's rows of `eval_results` and `judgments`, of all runs.

    The `untuned` bases among them stand beside the runs: whatever is fitted with them changes no run's value.
    """

    lake: Lake
    evaluation: Declared
    results: pl.DataFrame
    judgments: pl.DataFrame
    untuned: Collection[str] = ()

    def outcomes(self, category: str) -> pl.DataFrame:
        """The results that have an outcome, of one category or (empty) of all items."""
        results = self.results.filter(task=category) if category else self.results
        return results.drop_nulls("outcome")


@dataclass(frozen=True)
class ItemValues:
    """A row a run and item (SCHEMA), what the values are, and the largest difference that two can have.

    `why` says of a run without values why it has none. `largest` is None where there is no bound.
    """

    values: pl.DataFrame
    how: str = ""
    largest: float | None = None
    why: dict[str, str] = field(default_factory=dict)


def mean_values(
    runs: StoredRuns[Declared], _: str, category: str, largest: float | None = None
) -> ItemValues:
    """Of a metric that is the mean of the items' outcomes: each item's mean over its answers.

    Two shares differ by at most 1; of another metric `largest` says what the most is, where there is one.
    """
    there = runs.outcomes(category).group_by("run", "item_id", maintain_order=True)
    means = there.agg(value=pl.col("outcome").mean())
    return ItemValues(means.select(list(SCHEMA)), largest=1.0 if runs.evaluation.is_share else largest)


def by_run(rows: pl.DataFrame, make: Callable[[pl.DataFrame], tuple[list[str], Floats]]) -> pl.DataFrame:
    """The values (SCHEMA) that `make` gives for the rows of each run: its items, and a value of each."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for (run,), of_run in rows.group_by("run", maintain_order=True):
        items, values = make(of_run)
        frames.append(
            pl.DataFrame({"run": [run] * len(items), "item_id": items, "value": values}, schema=SCHEMA)
        )
    return pl.concat(frames)


def measure_values(rows: pl.DataFrame, name: str) -> Floats:
    """One of the rows' `measures` by name; 0 where a row does not have it."""
    found = [
        next((each["value"] for each in measures or [] if each["name"] == name), 0.0)
        for measures in rows["measures"].to_list()
    ]
    return np.array(found, dtype=np.float64)
