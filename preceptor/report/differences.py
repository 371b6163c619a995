"""Every two runs of a base on a benchmark, and each run and its untuned base: item by item, is it ahead?"""

import polars as pl

from preceptor.evaluation.agreement.paired import PairedDifference, holm, paired_differences
from preceptor.lake.schemas import EVAL_DIFFERENCES, EVAL_RESULTS, EVAL_SCORES
from preceptor.lake.warehouse import Warehouse
from preceptor.report.main_metric import main_metrics
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_name

SEED = 0
LARGEST: dict[str, float | None] = {"grades": 5.0, "held_out_loss": None}  # else outcomes are shares


def differences(warehouse: Warehouse, study: Study) -> pl.DataFrame:
    """Rows of `eval_differences`: outcomes of the items, whatever a benchmark's main metric makes of them.

    Of a benchmark whose categories are not pooled, the items are those of its main category.
    """
    results = warehouse.rows(EVAL_RESULTS.name).select("run", "benchmark", "item_id", "task", "outcome")
    main = main_metrics(warehouse.rows(EVAL_SCORES.name), study)
    rows = []
    for evaluation in study.evaluations:
        category = main[evaluation.name][1]
        of_benchmark = results.filter(benchmark=evaluation.name)
        if category:
            of_benchmark = of_benchmark.filter(task=category)
        by_run = of_benchmark.drop("task").partition_by("run", as_dict=True)
        for base in study.bases:
            own = [run.name for run in study.runs if run.base == base.name]
            there = [by_run[run,] for run in own if (run,) in by_run]
            if len(there) > 1:
                rows += _rows(evaluation, base.name, category, pl.concat(there))
            untuned = untuned_name(base.name)
            if there and (untuned,) in by_run:
                outcomes = pl.concat([*there, by_run[untuned,]])
                rows += _rows(evaluation, base.name, category, outcomes, untuned)
    return pl.DataFrame(rows, schema=EVAL_DIFFERENCES.row_schema)


def _rows(
    evaluation: AnyEvaluation, base: str, category: str, outcomes: pl.DataFrame, untuned: str | None = None
) -> list[dict[str, object]]:
    """One family of tests: every two runs, or every run and its untuned base."""
    found = paired_differences(outcomes, SEED, LARGEST.get(evaluation.kind, 1.0), against=untuned)
    tested = [number for number, (*_, difference) in enumerate(found) if difference.p_value is not None]
    adjusted = holm([found[number][2].p_value or 0.0 for number in tested])
    by_number = dict(zip(tested, adjusted, strict=True))
    return [
        {
            "benchmark": evaluation.name,
            "base": base,
            "first_run": first,
            "second_run": second,
            "untuned": untuned is not None,
            "difference": difference.value,
            "p_adjusted": by_number.get(number),
            "left_out": difference.only_first + difference.only_second,
            **_as_it_is(difference),
            **_of_category(difference, category),
        }
        for number, (first, second, difference) in enumerate(found)
    ]


def _as_it_is(difference: PairedDifference) -> dict[str, object]:
    return {name: vars(difference)[name] for name in ("low", "high", "p_value", "n", "method", "error")}


def _of_category(difference: PairedDifference, category: str) -> dict[str, object]:
    if not category or difference.method is None:
        return {}
    return {"method": f"{difference.method}; items of {category}"}
