"""Scores of the study's averages. A run has no average if one of the benchmarks has no score."""

import polars as pl

from preceptor.lake.schemas import EVAL_SCORES
from preceptor.lake.warehouse import Warehouse
from preceptor.report.main_metric import Main, main_metrics
from preceptor.statistics.estimates import Estimate, mean_of
from preceptor.study.averages import Average
from preceptor.study.schema import Study
from preceptor.study.untuned import evaluated_runs

METRIC = "average"
COUNTS = ("n", "expected", "judged", "failed", "filtered")
INTERVAL = (
    "interval from those of its parts, taken to be independent (Zou and Donner, Statistics in Medicine 2008)"
)


def add_averages(warehouse: Warehouse, study: Study) -> None:
    """Add a row per average and run to the warehouse's `eval_scores`; the lake does not change."""
    scores = warehouse.rows(EVAL_SCORES.name).select(list(EVAL_SCORES.schema))
    main = main_metrics(scores, study)
    scored = set(scores["run"])
    rows = [
        _row(average, run, _parts(scores, average, run, main))
        for average in study.averages
        for run in evaluated_runs(study)
        if run in scored
    ]
    found = pl.DataFrame(rows, schema=EVAL_SCORES.schema)
    warehouse.register(EVAL_SCORES.name, pl.concat([scores, found]))


def _parts(
    scores: pl.DataFrame, average: Average, run: str, main: dict[str, Main]
) -> list[dict[str, object]]:
    found = []
    for benchmark in average.of:
        metric, category = main[benchmark]
        row = scores.filter(run=run, benchmark=benchmark, metric=metric, category=category)
        found += row.drop_nulls("value").to_dicts()
    return found


def _row(average: Average, run: str, parts: list[dict[str, object]]) -> dict[str, object]:
    frame = pl.DataFrame(parts, schema=EVAL_SCORES.schema)
    there = frame["benchmark"].to_list()
    lacking = [benchmark for benchmark in average.of if benchmark not in there]
    ends = ("value", "low", "high")
    mean = Estimate() if lacking else mean_of(*(frame[name].to_list() for name in ends))
    named = " + ".join(f"{part['benchmark']} ({_measure(part)})" for part in parts)
    return {
        "run": run,
        "benchmark": average.name,
        "metric": METRIC,
        "category": "",
        **{name: vars(mean)[name] for name in ends},
        "unit": "share",
        **{name: frame[name].sum() for name in COUNTS},
        "method": f"({named}) / {len(average.of)}; {INTERVAL}",
        "judge": _listed(frame["judge"]),
        "reference": _listed(frame["reference"]),
        "error": f"no value on {', '.join(lacking)}" if lacking else None,
        "fingerprint": "",
    }


def _measure(part: dict[str, object]) -> str:
    return f"{part['metric']} on {part['category']}" if part["category"] else f"{part['metric']}"


def _listed(names: pl.Series) -> str | None:
    return "; ".join(names.drop_nulls().unique(maintain_order=True)) or None
