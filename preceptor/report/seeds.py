"""Every two teachers of a base, with training seeds as the units: do they differ, or only two models?

Tuning the same rows with other seeds moves a score by points, so that two models that differ surely may be of
teachers that do not. Runs of one recipe and tuning that differ in their seed show how far.
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

NAME = "seed_differences"  # in a report's warehouse; the lake has no such table
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("base", "benchmark", "metric", "first_teacher", "second_teacher"), pl.String),
        **dict.fromkeys(("first_seeds", "second_seeds"), pl.Int64),
        **dict.fromkeys(("difference", "p_seeds", "p_items", "p_value", "p_adjusted"), pl.Float64),
        "error": pl.String,
    }
)
UNLIKE = "{}'s runs differ in recipe or tuning, so they are no repetitions"
ALONE = "{} has one training seed: it takes two or more of each"
ALIKE = "all seeds of a teacher scored the same"


def seed_differences(study: Study, tested: dict[str, Tested]) -> pl.DataFrame:
    """Rows of SCHEMA: pairs of teachers one of which has several runs, with a p or with why there is none.

    `p_seeds` is Welch's (Biometrika 1947) over the seeds' scores, `p_items` the paired test over items of
    their means. Two teachers differ only if both say so: `p_value` is the larger, `p_adjusted` Holm's over
    the base's pairs on the benchmark.
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
    """The measured runs of each teacher; two with the same recipe, tuning and seed are one model."""
    found: dict[str, dict[tuple[str, str, int], Run]] = {}
    measured = set(tested.items.values["run"])
    for run in study.runs:
        teacher = one_teacher(study, run.recipe)
        if run.base == base and teacher is not None and run.name in measured:
            found.setdefault(teacher, {}).setdefault((run.recipe, run.tuning, run.seed), run)
    return {teacher: list(runs.values()) for teacher, runs in found.items()}


def _by_item(tested: Tested, runs: dict[str, list[Run]]) -> dict[tuple[str, str], PairedDifference]:
    """The paired test of every two teachers with several seeds; an item's value is their mean."""
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
    """The metric of each seed."""
    values = tested.items.values
    return [float(values.filter(run=run.name)["value"].to_numpy().mean()) for run in runs]
