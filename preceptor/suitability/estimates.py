"""Every metric's value, interval and rank, from one set of resamples, so that metrics can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.statistics.bootstrap import expanded_interval, resampled_means
from preceptor.statistics.ranks import rank_intervals, ranks
from preceptor.study.schema import Car
from preceptor.suitability.cells import CAR_COLUMNS, Cells, Truth, used_cells, used_values
from preceptor.suitability.metrics import Floats, Metric, RowColumn

MINIMUM_ROWS = 10  # resamples of fewer instructions say too little about other instructions
SCHEMA = pl.Schema(
    {
        "metric": pl.String,
        "beta": pl.Float64,
        **dict.fromkeys(("base_index", "teacher_index"), pl.Int32),
        **dict.fromkeys(("value", "low", "high"), pl.Float64),
        **dict.fromkeys(("rank", "rank_low", "rank_high", "instructions"), pl.Int64),
    }
)


@dataclass(frozen=True)
class Means:
    """Means of row columns, by the column's name; NaN if there is no value.

    `instructions` counts the averaged instructions, (bases, teachers); `means` has the same shape. `draws`
    has the mean of every resample, (resamples, bases, teachers).
    """

    instructions: Mapping[str, NDArray[np.int64]]
    means: Mapping[str, Floats]
    draws: Mapping[str, Floats]


def resample(cells: Cells, used: Truth, columns: Sequence[RowColumn], settings: Car) -> Means:
    """Means of CAR's columns over the used cells, and of the other `columns` over used cells with a value.

    CAR's columns have their own matrix product, because a product of more columns may change the last digit.
    """
    groups = [[column.name for column in CAR_COLUMNS]]
    groups.append([column.name for column in columns if column not in CAR_COLUMNS])
    counts, means, draws = {}, {}, {}
    for names in filter(None, groups):
        values = used_values(cells, used, names)
        if names is not groups[0]:
            _pair(values, settings)
        there = ~np.isnan(values)
        flat = values.reshape(-1, values.shape[-1])
        drawn = resampled_means(flat.T, settings.resamples, settings.seed)
        drawn = drawn.reshape(settings.resamples, *values.shape[:-1])
        for number, name in enumerate(names):
            counts[name] = there[number].sum(axis=-1)
            means[name] = _means(values[number])
            draws[name] = drawn[:, number]
    return Means(counts, means, draws)


def estimates(found: Means, metrics: Sequence[tuple[Metric, float]], settings: Car) -> pl.DataFrame:
    """A row per teacher, base and metric with its β; the columns are those of SCHEMA."""
    bases = len(next(iter(found.means.values())))
    frames = [
        _of_base(found, metric, beta, settings, base) for metric, beta in metrics for base in range(bases)
    ]
    return pl.concat([SCHEMA.to_frame(), *frames])


def _pair(values: Floats, settings: Car) -> None:
    """Apply the study's `car.rows` to each column: set the cells that do not count to NaN."""
    for column in values:
        column[~used_cells(~np.isnan(column), settings.rows)] = np.nan


def _means(values: Floats) -> Floats:
    there = ~np.isnan(values).all(axis=-1)
    means = np.full(values.shape[:-1], np.nan)
    means[there] = np.nanmean(values[there], axis=-1)
    return means


def _of_base(found: Means, metric: Metric, beta: float, settings: Car, base: int) -> pl.DataFrame:
    counts = np.min([found.instructions[column.name][base] for column in metric.columns], axis=0)
    ranked = np.flatnonzero(counts)
    values = metric.value({name: means[base, ranked] for name, means in found.means.items()}, beta)
    draws = metric.value({name: draws[:, base, ranked] for name, draws in found.draws.items()}, beta)
    instructions = counts[ranked]
    draws = np.where(instructions < MINIMUM_ROWS, np.nan, draws)
    low, high = expanded_interval(draws, settings.confidence, instructions)
    sign = metric.sign
    best, worst = rank_intervals(
        sign * values, sign * draws, settings.confidence, instructions, settings.seed
    )
    columns = {
        "base_index": np.full(len(ranked), base),
        "teacher_index": ranked,
        "value": values,
        "low": low,
        "high": high,
        "rank": ranks(sign * values),
        "rank_low": best,
        "rank_high": worst,
        "instructions": instructions,
    }
    shown = pl.lit(beta if metric.takes_beta else None, dtype=pl.Float64)
    frame = pl.DataFrame(columns).with_columns(pl.col("low", "high").fill_nan(None))
    return frame.select(pl.lit(metric.name).alias("metric"), shown.alias("beta"), *columns).cast(SCHEMA)
