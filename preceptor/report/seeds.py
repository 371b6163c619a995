"""Tests whether two teachers of a base differ, with training seeds as the units.

Another seed with the same rows can change a score by several points. Two models can therefore differ
significantly although their teachers do not. Runs that differ only in their seed measure this variation.
"""

from itertools import combinations

import polars as pl

from preceptor.evaluation.paired import PairedDifference, paired_differences
from preceptor.report.differences import SEED
from preceptor.report.predicted import one_teacher
from preceptor.report.tested_values import Tested
from preceptor.statistics.differences import welch
from preceptor.statistics.multiple import holm
from preceptor.study.schema import Study
from preceptor.study.tuning import Run

NAME = "seed_differences"  # a table of the report's warehouse; the lake has none
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("base", "benchmark", "metric", "first_teacher", "second_teacher"), pl.String),
        **dict.fromkeys(("first_seeds", "second_seeds"), pl.Int64),
        **dict.fromkeys(("difference", "p_seeds", "p_items", "p_value", "p_adjusted"), pl.Float64),
        "error": pl.String,
    }
)
UNLIKE = "{}'s runs differ in recipe or tuning, so they are not repetitions"
ALONE = "{} has one training seed, but the test needs at least two per teacher"
ALIKE = "all seeds of a teacher have the same score"


def seed_differences(study: Study, tested: dict[str, Tested]) -> pl.DataFrame:
    """Rows of SCHEMA: pairs of teachers, at least one with several runs. Each has a p-value or an `error`.

    `p_seeds` is Welch's t-test (Biometrika 1947) over the seeds' scores. `p_items` is the paired test over
    items of the seeds' means. Two teachers differ only if both tests are significant, so `p_value` is the
    larger. `p_adjusted` is Holm's over the base's pairs on the benchmark.
    """
    frames = [pl.DataFrame(schema=SCHEMA)]
    for base in study.bases:
        for benchmark, of_benchmark in tested.items():
            runs = _runs_by_teacher(study, base.name, of_benchmark)
            by_item = _by_item(of_benchmark, runs)
            pairs = [pair for pair in combinations(runs, 2) if max(len(runs[name]) for name in pair) > 1]
            rows = [_row(of_benchmark, runs, pair, by_item.get(pair)) for pair in pairs]
            named = {"base": base.name, "benchmark": benchmark, "metric": of_benchmark.metric}
            frame = pl.DataFrame([{**named, **row} for row in rows], schema=SCHEMA)
            adjusted = holm(frame["p_value"].to_list())
            frames.append(frame.with_columns(p_adjusted=pl.Series(adjusted, dtype=pl.Float64)))
    return pl.concat(frames)


def _runs_by_teacher(study: Study, base: str, tested: Tested) -> dict[str, list[Run]]:
    """The measured runs of each teacher; runs with the same recipe, tuning and seed count once."""
    found: dict[str, dict[tuple[str, str, int], Run]] = {}
    measured = set(tested.items.values["run"])
    for run in study.runs:
        teacher = one_teacher(study, run.recipe)
        if run.base == base and teacher is not None and run.name in measured:
            found.setdefault(teacher, {}).setdefault((run.recipe, run.tuning, run.seed), run)
    return {teacher: list(runs.values()) for teacher, runs in found.items()}


def _by_item(tested: Tested, runs: dict[str, list[Run]]) -> dict[tuple[str, str], PairedDifference]:
    """The paired test of all pairs of teachers with several seeds; an item's value is the seeds' mean."""
    several = {
        run.name: teacher for teacher, of_teacher in runs.items() if len(of_teacher) > 1 for run in of_teacher
    }
    order = pl.col("run").replace_strict(list(runs), range(len(runs)), return_dtype=pl.Int64)
    values = tested.items.values.filter(pl.col("run").is_in(list(several)))
    outcomes = values.with_columns(pl.col("run").replace_strict(several)).rename({"value": "outcome"})
    found = paired_differences(outcomes.sort(order, maintain_order=True), SEED, tested.items.largest)
    return {(first, second): difference for first, second, difference in found}


def _row(
    tested: Tested, runs: dict[str, list[Run]], pair: tuple[str, str], by_item: PairedDifference | None
) -> dict[str, object]:
    row: dict[str, object] = {
        "first_teacher": pair[0],
        "second_teacher": pair[1],
        "first_seeds": len(runs[pair[0]]),
        "second_seeds": len(runs[pair[1]]),
    }
    for name in pair:
        if len({(run.recipe, run.tuning) for run in runs[name]}) > 1:
            return {**row, "error": UNLIKE.format(name)}
        if len(runs[name]) < 2:
            return {**row, "error": ALONE.format(name)}
    assert by_item is not None
    p_seeds = welch(*(_scores(tested, runs[name]) for name in pair))
    if p_seeds is None or by_item.p_value is None:
        return {**row, "difference": by_item.value, "error": by_item.error or ALIKE}
    found = {"p_seeds": p_seeds, "p_items": by_item.p_value, "p_value": max(p_seeds, by_item.p_value)}
    return {**row, "difference": by_item.value, **found}


def _scores(tested: Tested, runs: list[Run]) -> list[float]:
    """The score of each seed."""
    values = tested.items.values
    return [float(values.filter(run=run.name)["value"].to_numpy().mean()) for run in runs]
