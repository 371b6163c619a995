"""Predicted against actual: the compared rows, and the rank correlation of each predictor."""

import pytest
from scipy import stats

from preceptor.current import current_fingerprints
from preceptor.lake.schemas import (
    CAR_TABLE,
    EVAL_SCORES,
    PREDICTED_ACTUAL,
    RAW_INSTRUCTIONS,
    RESPONSES,
    SUITABILITY,
)
from preceptor.report.predicted import predicted_actual, rank_correlations, teacher_means
from preceptor.study.schema import Study
from tests.report.lakes import BASES, SILENT, TEACHERS, empty_warehouse, put, small_study

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def filled(tmp_path):
    """Four teachers, one base: d is not ranked, a has two seeds, b's second metric is not the main one."""
    base = BASES[0]
    study = small_study(NAMES, (base,))
    again = study.run("notes-a").model_copy(update={"name": "notes-a-again", "seed": 9})
    study = Study.model_validate(
        {**study.model_dump(), "runs": [*study.model_dump()["runs"], again.model_dump()]}
    )
    current = current_fingerprints(study)
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, RAW_INSTRUCTIONS, [{"instruction_id": id, "turns": ["?"]} for id in "xy"])
    texts = {"a": [["four", "é😀"], ["six"]], "b": [["12345"]], "c": [["1"], ["123"]]}
    rows = [
        {"response_id": f"{t}{n}", "teacher": t, "instruction_id": "xy"[n], "turns": turns}
        | {"fingerprint": current.responses[t]}
        for t, answers in texts.items()
        for n, turns in enumerate(answers)
    ]
    stale = {"teacher": "b", "instruction_id": "y", "turns": ["x" * 999], "fingerprint": "older settings"}
    failed = {"teacher": "c", "instruction_id": "y", "turns": [], "error": "no", "sample": 1}
    put(warehouse, RESPONSES, [*rows, stale, {**failed, "fingerprint": current.responses["c"]}])
    ranked = [("a", 1, 0.9, 5.0, 2.0), ("b", 2, 0.5, 6.0, 1.0), ("c", 3, 0.1, 4.0, 3.0)]
    named = ("teacher", "rank", "car", "mean_reward", "mean_loss")
    table = [{"base": base, **dict(zip(named, row, strict=True))} for row in ranked]
    put(warehouse, CAR_TABLE, [*table, {"base": base, "teacher": "d", "missing": "no rewards"}])
    predictions = {"mean_reward": (5.0, 6.0, 4.0), "mean_loss": (2.0, 1.0, 3.0), "car": (0.9, 0.5, 0.1)}
    put(
        warehouse,
        SUITABILITY,
        [
            {"base": base, "teacher": teacher, "metric": metric, "value": value}
            for metric, values in predictions.items()
            for teacher, value in zip("abc", values, strict=True)
        ],
    )
    exam = {"benchmark": "tasks-exam", "metric": "accuracy", "category": "", "unit": "share", "n": 10}
    values = {"notes-a": 0.4, "notes-a-again": 0.6, "notes-b": 0.3, "notes-c": 0.7, "notes-d": 0.9}
    scores = [{"run": r, "value": v, "low": v - 0.1, "high": v + 0.2, **exam} for r, v in values.items()]
    duel = {
        "run": "notes-b",
        "benchmark": "open-ended",
        "category": "",
        "unit": "share",
        "n": 5,
        "value": 0.5,
    }
    others = [{**duel, "metric": "win_rate"}, {**duel, "metric": "lc_win_rate"}]
    strangers = [{"run": "random", "value": 1.0, **exam}, {"run": "gone", "value": 1.0, **exam}]
    put(warehouse, EVAL_SCORES, [*scores, *others, *strangers])
    return warehouse, study


def compared(filled):
    warehouse, study = filled
    return rank_correlations(
        predicted_actual(warehouse, study), warehouse.rows("suitability"), study.car.form
    )


def test_a_row_has_the_prediction_and_the_score(filled):
    table = predicted_actual(*filled)
    assert table.schema == PREDICTED_ACTUAL.row_schema
    assert not table.select(PREDICTED_ACTUAL.key).is_duplicated().any()
    order = [("notes-a", True), ("notes-b", True), ("notes-b", True), ("notes-b", False), ("notes-c", True)]
    assert table.select("run", "main").rows() == [*order, ("notes-d", True), ("notes-a-again", True)]
    rows = {(row["run"], row["metric"]): row for row in table.to_dicts()}
    a = rows["notes-a", "accuracy"]
    assert (a["teacher"], a["car"], a["car_rank"], a["mean_reward"], a["mean_loss"]) == (
        "a",
        0.9,
        1,
        5.0,
        2.0,
    )
    assert a["mean_characters"] == ((4 + 2) + 3) / 2  # turns added up, code points counted
    assert (
        rows["notes-b", "accuracy"]["mean_characters"] == 5
    )  # the response of older settings does not count
    assert rows["notes-c", "accuracy"]["mean_characters"] == 2  # nor does a failed one
    assert (rows["notes-d", "accuracy"]["car"], rows["notes-d", "accuracy"]["mean_characters"]) == (
        None,
        None,
    )


def test_seeds_are_averaged_and_unranked_teachers_counted(filled):
    table = predicted_actual(*filled)
    exam = {row["teacher"]: row for row in teacher_means(table).filter(benchmark="tasks-exam").to_dicts()}
    assert (exam["a"]["value"], exam["a"]["runs"]) == (pytest.approx(0.5), 2)
    assert (exam["a"]["low"], exam["a"]["high"]) == pytest.approx((0.4, 0.7))
    found = compared(filled).filter(benchmark="tasks-exam")
    assert found["predictor"].to_list() == ["CAR", "reward alone", "low loss alone"]
    assert found["left_out"].to_list() == [1, 1, 1]
    outcome = [0.5, 0.3, 0.7]  # a, b, c
    for column, known in {
        "CAR": [0.9, 0.5, 0.1],
        "reward alone": [5.0, 6.0, 4.0],
        "low loss alone": [-2.0, -1.0, -3.0],
    }.items():
        expected = stats.spearmanr(known, outcome).statistic
        assert found.filter(predictor=column)["rho"].item() == pytest.approx(expected)


def test_a_main_metric_without_a_value_is_left_out(filled):
    warehouse, study = filled
    scores = warehouse.rows("eval_scores").to_dicts()
    for row in scores:
        if row["run"] == "notes-c":
            row["value"] = None
    put(warehouse, EVAL_SCORES, scores)
    found = compared((warehouse, study)).filter(predictor="CAR", benchmark="tasks-exam")
    assert found.select("n", "left_out").row(0) == (2, 2)


def test_a_study_without_runs_has_neither_rows_nor_rank_correlations(tmp_path):
    table = predicted_actual(empty_warehouse(tmp_path), small_study(runs=False))
    assert table.is_empty() and rank_correlations(table, SUITABILITY.stored.to_frame(), "ratio").is_empty()
    assert table.schema == PREDICTED_ACTUAL.row_schema


def test_the_realistic_study_has_one_row_per_run_and_metric(warehouse, study):
    table = predicted_actual(warehouse, study)
    assert (
        table.height == (2 * len(TEACHERS) + 1) * 3
    )  # one of the two students of the teacher without rewards has scores
    found = compared((warehouse, study)).filter(predictor="CAR")
    assert found["n"].to_list() == [8, 8, 8, 8]
    assert found["left_out"].to_list() == [0, 0, 1, 1]
    assert SILENT in table.filter(base=BASES[1])["teacher"].to_list()


def test_teachers_that_share_a_style_are_not_tested(filled):
    warehouse, study = filled
    styled = [{**t.model_dump(), "style": style} for t, style in zip(study.teachers, "xxy", strict=False)]
    rest = [t.model_dump() for t in study.teachers[len(styled) :]]
    study = Study.model_validate({**study.model_dump(), "teachers": [*styled, *rest]})
    table = predicted_actual(warehouse, study)
    assert dict(table.select("teacher", "style").iter_rows()) == {"a": "x", "b": "x", "c": "y", "d": None}
    found = compared((warehouse, study)).filter(benchmark="tasks-exam", predictor="CAR").row(0, named=True)
    assert found["rho"] is not None and found["p_value"] is found["p_adjusted"] is found["low"] is None
    assert found["untested"].startswith("n = 2 styles, not 3 teachers")


def test_p_values_are_adjusted_over_all_tests(filled):
    found = compared(filled).drop_nulls("p_value")
    assert set(found["tests"]) == {found.height}
    assert (found["p_adjusted"] >= found["p_value"]).all()
    assert found["p_adjusted"].min() == min(1.0, found.height * found["p_value"].min())


def test_a_style_does_not_change_fingerprints(filled):
    _, study = filled
    styled = [{**teacher.model_dump(), "style": "x"} for teacher in study.teachers]
    assert current_fingerprints(Study.model_validate({**study.model_dump(), "teachers": styled})) == (
        current_fingerprints(study)
    )
