"""Paired tests by item on a benchmark's main metric: two runs of a base, or a run and its untuned base."""

import polars as pl

from preceptor.evaluation.paired import PairedDifference, paired_differences
from preceptor.lake.schemas import EVAL_DIFFERENCES
from preceptor.report.tested_values import Tested
from preceptor.statistics.multiple import holm
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_name

SEED = 0


def differences(study: Study, tested: dict[str, Tested]) -> pl.DataFrame:
    """Rows of `eval_differences` for benchmarks and averages. `tested` comes from `tested_values`.

    If a benchmark does not pool its categories, its main category is tested.
    """
    rows = []
    for benchmark, of_benchmark in tested.items():
        measured = set(of_benchmark.items.values["run"]) | set(of_benchmark.items.why)
        for base in study.bases:
            runs = [run.name for run in study.runs if run.base == base.name and run.name in measured]
            named = {"benchmark": benchmark, "base": base.name, "metric": of_benchmark.metric}
            untuned = untuned_name(base.name)
            if len(runs) > 1:
                rows += [{**named, **row} for row in _rows(of_benchmark, runs)]
            if runs and untuned in measured:
                rows += [{**named, **row} for row in _rows(of_benchmark, [*runs, untuned], untuned)]
    return pl.DataFrame(rows, schema=EVAL_DIFFERENCES.row_schema)


def _rows(tested: Tested, runs: list[str], untuned: str | None = None) -> list[dict[str, object]]:
    """One family of tests: all pairs of runs, or each run against its untuned base."""
    found = paired_differences(outcomes_of(tested, runs), SEED, tested.items.largest, against=untuned)
    adjusted = holm([difference.p_value for *_, difference in found])
    return [
        {
            "first_run": first,
            "second_run": second,
            "untuned": untuned is not None,
            "difference": difference.value,
            "p_adjusted": p_adjusted,
            "left_out": difference.only_first + difference.only_second,
            **_fields_of(difference),
            "method": _method(tested, difference),
            **_untested(tested, first, second),
        }
        for (first, second, difference), p_adjusted in zip(found, adjusted, strict=True)
    ]


def outcomes_of(tested: Tested, runs: list[str]) -> pl.DataFrame:
    """The runs' values in the order of `runs`; a run without values gets one row with a null value."""
    values = tested.items.values
    lacking = [{"run": run, "item_id": "", "value": None} for run in runs if run in tested.items.why]
    order = pl.col("run").replace_strict(runs, range(len(runs)), return_dtype=pl.Int64)
    there = pl.concat([values, pl.DataFrame(lacking, schema=values.schema)]).filter(pl.col("run").is_in(runs))
    return there.sort(order, maintain_order=True).rename({"value": "outcome"})


def _fields_of(difference: PairedDifference) -> dict[str, object]:
    return {name: vars(difference)[name] for name in ("low", "high", "p_value", "n", "error")}


def _method(tested: Tested, difference: PairedDifference) -> str | None:
    if difference.method is None:
        return None
    items = f"items of {tested.category}" if tested.category else ""
    return "; ".join(part for part in (difference.method, tested.items.how, items) if part)


def _untested(tested: Tested, *runs: str) -> dict[str, object]:
    """The reason why two runs cannot be compared, if one of them has no metric."""
    why = [f"{run}: {tested.items.why[run]}" for run in runs if run in tested.items.why]
    return {"error": f"not tested, since there is no {tested.metric} of {'; '.join(why)}"} if why else {}
