"""Predicted against actual in a terminal: every teacher's two ranks, ρ, and what limits it."""

import polars as pl
from scipy.stats import spearmanr

from jobs.agreement import agreement_text
from preceptor.lake.schemas import EVAL_DIFFERENCES, PREDICTED_ACTUAL, SUITABILITY, TUNED_CHECKPOINT
from preceptor.report.predicted import rank_correlations

VALUES = {"alpha": 0.4, "beta": 0.7, "gamma": 0.5, "delta": None}
CARS = {"alpha": 0.1, "beta": 0.3, "gamma": 0.05, "delta": 0.2}


def rows() -> pl.DataFrame:
    order = sorted(CARS, key=CARS.get, reverse=True)
    made = [
        {
            "base": "tiny",
            "teacher": teacher,
            "run": f"run-{teacher}",
            "benchmark": "sums",
            "metric": "accuracy",
            "main": True,
            "value": VALUES[teacher],
            "low": VALUES[teacher] and VALUES[teacher] - 0.1,
            "high": VALUES[teacher] and VALUES[teacher] + 0.1,
            "n": 100,
            "unit": "share",
            "higher_is_better": True,
            "car": CARS[teacher],
            "car_rank": order.index(teacher) + 1,
            "mean_reward": 1.0,
            "mean_loss": 1.0,
            "mean_characters": 10.0,
        }
        for teacher in CARS
    ]
    return pl.DataFrame(made, schema=PREDICTED_ACTUAL.row_schema)


def checkpoints(**losses) -> pl.DataFrame:
    """Runs that took one step per point of their loss curve."""
    made = [{"run": f"run-{t}", "steps": len(curve), "losses": curve} for t, curve in losses.items()]
    return pl.DataFrame(made, schema=TUNED_CHECKPOINT.schema)


def differences(**p_values) -> pl.DataFrame:
    made = [
        {"base": "tiny", "benchmark": "sums", "first_run": f"run-{t}", "second_run": "untuned-tiny"}
        | {"untuned": True, "difference": -0.1 if t == "beta" else 0.1, "p_adjusted": p}
        for t, p in p_values.items()
    ]
    return pl.DataFrame(made, schema=EVAL_DIFFERENCES.schema)


def found(table):
    return rank_correlations(table, SUITABILITY.stored.to_frame(), "ratio")


def said(tuned=None, compared=None) -> str:
    tuned = checkpoints() if tuned is None else tuned
    compared = differences() if compared is None else compared
    return agreement_text(rows(), found(rows()), tuned, compared)


def test_remarks_that_limit_rho_precede_it():
    tuned = checkpoints(alpha=[11.7, 11.7, 11.7], beta=[2.0] * 30, gamma=[2.0 - n / 20 for n in range(30)])
    *_, against, learned, rho = (
        said(tuned, differences(alpha=0.2, beta=0.06, gamma=1.0)).rstrip().splitlines()
    )
    assert against.startswith("  ! none of 3 students ")
    assert learned.startswith("  ! 2 of 4 runs ") and "run-alpha" in learned
    assert rho.startswith("  ρ = ")
    text = said(checkpoints(beta=[2.0] * 30), differences(alpha=0.01, beta=0.02, gamma=1.0))
    assert "  2 of 3 students " in text and ", 1 for the worse\n" in text
    assert "  ! run-beta: " in text and " 30 optimizer steps" in text
    assert "!" not in said()


def test_teachers_are_listed_by_actual_rank_with_their_predicted_rank():
    lines = said().splitlines()
    assert lines[0] == "tiny on sums (accuracy): Spearman, predicted against actual"
    table = [line.split() for line in lines[2:6]]
    assert [row[:3] for row in table] == [
        ["1", "1", "beta"],
        ["2", "4", "gamma"],
        ["3", "3", "alpha"],
        ["–", "2", "delta"],
    ]
    assert lines[2].endswith("70.0% [60.0%, 80.0%]")
    assert lines[5].endswith("no score")


def test_rho_covers_teachers_with_both_ranks_and_reports_its_limits():
    known = [teacher for teacher, value in VALUES.items() if value is not None]
    expected = spearmanr([CARS[t] for t in known], [VALUES[t] for t in known]).statistic
    text = said()
    assert f"ρ = {expected:.2f} over 3 teachers" in text
    assert "not significant" in text


def test_without_runs_the_text_is_empty():
    none = rows().clear()
    assert agreement_text(none, found(none), checkpoints(), differences()) == ""
