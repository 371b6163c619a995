"""Predicted against actual in a terminal: every teacher's two places, and ρ with what it cannot say."""

import polars as pl
from scipy.stats import spearmanr

from jobs.agreement import agreement_text
from preceptor.lake.schemas import PREDICTED_ACTUAL

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


def test_teachers_stand_in_the_order_of_what_came_out_with_their_predicted_place():
    lines = agreement_text(rows()).splitlines()
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


def test_rho_is_taken_over_teachers_with_both_and_says_what_it_cannot():
    known = [teacher for teacher, value in VALUES.items() if value is not None]
    expected = spearmanr([CARS[t] for t in known], [VALUES[t] for t in known]).statistic
    text = agreement_text(rows())
    assert f"ρ = {expected:.2f} over 3 teachers" in text
    assert "cannot be told from no agreement" in text


def test_without_runs_there_is_nothing_to_say():
    assert agreement_text(rows().clear()) == ""
