"""What the checks of a partition say, and from where they complain."""

import polars as pl
import pytest

from assets import checks
from preceptor.rewards.drift import Drift
from preceptor.study.schema import Limits


def answers(*endings):
    errors = ["gone" if ending == "error" else None for ending in endings]
    reasons = [None if ending == "error" else ending for ending in endings]
    schema = {"finish_reason": pl.String, "error": pl.String}
    return pl.DataFrame({"finish_reason": reasons, "error": errors}, schema=schema)


@pytest.mark.parametrize(
    "endings,passed,says",
    [
        (["stop"] * 19 + ["length"], True, "1 of 20 responses were cut at the limit of tokens (5.0%)"),
        (["stop"] * 18 + ["length"], False, "1 of 19 responses were cut at the limit of tokens (5.3%)"),
        (["length", "error", "error"], False, "1 of 1 responses were cut at the limit of tokens (100.0%)"),
        (
            [None] * 3,
            True,
            "0 of 0 responses were cut at the limit of tokens (0.0%); 3 do not say how they ended",
        ),
        ([], True, "0 of 0 responses were cut at the limit of tokens (0.0%)"),
    ],
)
def test_responses_that_do_not_say_how_they_ended_are_not_counted_as_whole(endings, passed, says):
    check = checks.truncated(answers(*endings), Limits())
    assert (check.passed, check.description) == (passed, says)


def test_the_bound_of_truncated_rows_is_the_studys():
    rows = answers("stop", "length")
    assert checks.truncated(rows, Limits(truncated_rows=0.5)).passed
    assert not checks.truncated(rows, Limits(truncated_rows=0.4)).passed


def test_rewards_may_drift_as_far_as_the_study_says():
    moved = Drift(4, 12, 0.5, 0.8, 0.6)
    assert not checks.reward_drift(moved, Limits()).passed
    assert checks.reward_drift(moved, Limits(reward_drift=0.7)).passed
    assert checks.reward_drift(moved, Limits()).metadata["earlier_version"].value == 4
    assert not checks.reward_drift(Drift(4, 12, 0.5, 0.8, None), Limits(reward_drift=9)).passed


def test_without_anything_scored_anew_there_is_no_drift_and_that_is_said():
    check = checks.reward_drift(None, Limits())
    assert check.passed
    assert check.description == "no response was scored anew in the last 7 days"
