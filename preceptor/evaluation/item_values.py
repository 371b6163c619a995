"""Values per item whose mean is a benchmark's metric, so that runs can be compared on that metric.

For a mean, the values are the items' outcomes. For a ratio or a regression, each value is the metric plus n
times the item's influence on it (Hampel, JASA 69, 1974), so that tests of means hold for the metric in large
samples. Each kind of evaluation defines its values (kind.py, `values`).
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

    Untuned bases are listed in `untuned`. They must not change the values of runs in joint fits.
    """

    lake: Lake
    evaluation: Declared
    results: pl.DataFrame
    judgments: pl.DataFrame
    untuned: Collection[str] = ()

    def outcomes(self, category: str) -> pl.DataFrame:
        """The results with an outcome, of one category, or of all items where `category` is empty."""
        results = self.results.filter(task=category) if category else self.results
        return results.drop_nulls("outcome")


@dataclass(frozen=True)
class ItemValues:
    """A row for each run and item (SCHEMA), and how the values are made (`how`).

    `largest` is the largest possible difference of two values, None if unbounded. `why` gives the reason for
    each run without values.
    """

    values: pl.DataFrame
    how: str = ""
    largest: float | None = None
    why: dict[str, str] = field(default_factory=dict)


def mean_values(
    runs: StoredRuns[Declared], _: str, category: str, largest: float | None = None
) -> ItemValues:
    """Values for a metric that is the mean of the items' outcomes: each item's mean over its answers.

    Two shares differ by at most 1. For other metrics, `largest` gives the bound if there is one.
    """
    there = runs.outcomes(category).group_by("run", "item_id", maintain_order=True)
    means = there.agg(value=pl.col("outcome").mean())
    return ItemValues(means.select(list(SCHEMA)), largest=1.0 if runs.evaluation.is_share else largest)


def by_run(rows: pl.DataFrame, make: Callable[[pl.DataFrame], tuple[list[str], Floats]]) -> pl.DataFrame:
    """Apply `make` to the rows of each run. `make` returns item ids and their values."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for (run,), of_run in rows.group_by("run", maintain_order=True):
        items, values = make(of_run)
        frames.append(
            pl.DataFrame({"run": [run] * len(items), "item_id": items, "value": values}, schema=SCHEMA)
        )
    return pl.concat(frames)


def measure_values(rows: pl.DataFrame, name: str) -> Floats:
    """One of the rows' `measures` by name, 0 where a row lacks it."""
    found = [
        next((each["value"] for each in measures or [] if each["name"] == name), 0.0)
        for measures in rows["measures"].to_list()
    ]
    return np.array(found, dtype=np.float64)
