"""Averages of benchmarks: the paper's AP, with an interval from the intervals of its parts."""

import numpy as np
import polars as pl
import pytest

from preceptor.evaluation.item_values import SCHEMA, ItemValues
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.report.averages import add_averages
from preceptor.report.predicted import predicted_actual
from preceptor.report.tested_values import average_values
from preceptor.study.averages import Average
from tests.report.lakes import BASES, empty_warehouse, put, small_study


def score(run: str, benchmark: str, metric: str, value: float | None, margin: float | None = 0.02) -> dict:
    ends = {} if value is None or margin is None else {"low": value - margin, "high": value + 2 * margin}
    account = {"n": 10, "expected": 10, "judged": 10, "failed": 0, "filtered": 0}
    named = {"category": "", "unit": "share", "judge": f"judge of {benchmark}", "reference": "r"}
    return {"run": run, "benchmark": benchmark, "metric": metric, "value": value, **ends, **account, **named}


def averaged(tmp_path, scores):
    study = small_study(("a", "b"), (BASES[0],), True)
    study = study.model_copy(update={"averages": (Average(name="AP", of=("open-ended", "tasks-exam")),)})
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, EVAL_SCORES, scores)
    add_averages(warehouse, study)
    return study, warehouse


def test_ap_matches_table_2(tmp_path):
    """Gemma-2-9b-it on Minitron-4B: LC 16.09, Arena-Hard 13.7, AP 14.90 (arXiv 2411.07133)."""
    rows = [score("notes-a", "open-ended", "lc_win_rate", 0.1609)]
    rows += [
        score("notes-a", "tasks-exam", "accuracy", 0.137),
        score("notes-b", "tasks-exam", "accuracy", 0.5),
    ]
    study, warehouse = averaged(tmp_path, rows)
    row, lacking = warehouse.rows("eval_scores").filter(benchmark="AP").to_dicts()
    assert (lacking["run"], lacking["value"], lacking["error"]) == ("notes-b", None, "no value on open-ended")
    assert round(100 * row["value"], 2) in (14.89, 14.9)
    assert (row["run"], row["metric"], row["expected"]) == ("notes-a", "average", 20)
    assert row["judge"] == "judge of open-ended; judge of tasks-exam"
    assert row["method"].startswith("(open-ended (lc_win_rate) + tasks-exam (accuracy)) / 2")
    actual = predicted_actual(warehouse, study).filter(benchmark="AP", run="notes-a").row(0, named=True)
    assert actual["main"] and actual["higher_is_better"]


def test_an_average_with_a_missing_part_has_no_value(tmp_path):
    rows = [
        score("notes-a", "open-ended", "lc_win_rate", None),
        score("notes-a", "tasks-exam", "accuracy", 0.1),
    ]
    _, warehouse = averaged(tmp_path, rows)
    (row,) = warehouse.rows("eval_scores").filter(benchmark="AP").to_dicts()
    assert (row["value"], row["error"]) == (None, "no value on open-ended")


def test_a_study_without_averages_keeps_its_scores(tmp_path):
    rows = [score("notes-a", "tasks-exam", "accuracy", 0.5)]
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, EVAL_SCORES, rows)
    before = warehouse.rows("eval_scores")
    add_averages(warehouse, small_study(("a",), (BASES[0],), True))
    assert pl.DataFrame(warehouse.rows("eval_scores")).equals(before)


def values(**runs: dict[str, float]) -> ItemValues:
    rows = [(run, item, value) for run, of_run in runs.items() for item, value in of_run.items()]
    return ItemValues(pl.DataFrame(rows, schema=SCHEMA, orient="row"))


def test_items_of_an_average_have_its_value_as_mean_and_shared_items_count_once():
    """Two benchmarks of different size share i0 and i1; run b lacks one item of the second."""
    one = values(a={"i0": 1.0, "i1": 0.0, "i2": 1.0}, b={"i0": 0.0, "i1": 0.0, "i2": 1.0}, c={"i0": 1.0})
    two = values(
        a={f"i{n}": 0.2 for n in (0, 1, 3, 4)} | {"i5": 0.9}, b={f"i{n}": 0.4 + n / 10 for n in (0, 1, 3, 4)}
    )
    found = average_values([one, two])
    means = dict(found.values.group_by("run").agg(pl.col("value").mean()).iter_rows())
    assert means["a"] == pytest.approx((2 / 3 + 1.7 / 5) / 2)
    items = {run: set(found.values.filter(run=run)["item_id"]) for run in "ab"}
    assert items == {"a": {f"i{n}" for n in range(6)}, "b": {f"i{n}" for n in range(5)}}
    assert set(found.why) == {"c"} and "c" not in means


def test_the_same_benchmark_twice_has_the_variance_of_one():
    """If two copies counted as independent, the variance would be half as large."""
    dice = np.random.default_rng(0)
    part = values(**{run: {f"i{n}": float(dice.random() < 0.5) for n in range(50)} for run in "ab"})
    twice = average_values([part, part]).values.sort("run", "item_id")
    assert twice["value"].to_list() == pytest.approx(part.values.sort("run", "item_id")["value"].to_list())
