"""What the checks of a partition say, and from where they complain."""

import dagster as dg
import polars as pl
import pytest

from assets import checks
from preceptor.evaluation.scores import Account
from preceptor.lake.schemas import REWARDS
from preceptor.selection.recipes import shortfall
from preceptor.study.recipes import OneTeacher
from preceptor.study.schema import Limits, RewardMap
from preceptor.tuning.learning import doubt

PLACE = {"reward_model": "rm", "teacher": "t"}


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


def test_rows_that_failed_say_why_most_of_them_did():
    rows = pl.DataFrame({"error": ["too long"] * 2 + ["gone", None]})
    says = "3 of 4 rows failed (75.0%), most often since: too long"
    assert checks.failure_rate(rows, Limits()).description == says


def test_what_reading_lost_is_a_warning_that_names_it():
    assert checks.read_whole([]).passed
    lost = checks.read_whole(["mine: 1 of 9 rows cannot be used", "column 'note' holds text"])
    assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = checks.read_whole([], ["column 'text' is left out"])
    assert told.passed and str(told.description).endswith("all the text it holds; column 'text' is left out")
    assert lost.description == "mine: 1 of 9 rows cannot be used; column 'note' holds text"


@pytest.mark.parametrize("found, passed", [(1000, True), (999, False), (960, False)])
def test_a_recipe_that_gets_one_row_less_than_it_asks_for_says_so_and_why(found, passed):
    recipe = OneTeacher(name="r", kind="teacher", teacher="t", rows=1000)
    check = checks.as_many_as_asked(1000, found, shortfall(recipe, found, 12, 0))
    assert check.passed == passed
    assert check.description == (
        "1,000 rows, as many as asked for"
        if passed
        else f"recipe r asks for 1,000 rows and got {found}, {1000 - found} fewer: t has no more usable"
        " responses, and all of them are taken; 12 more were left out since they were cut at the limit of"
        " tokens (cut_responses: keep takes them)"
    )


@pytest.mark.parametrize(
    ("numbers", "kind", "passed", "says"),
    [
        ([1.0, 2.0], "identity", True, "the mean reward, mapped, is 1.5"),
        (
            [3.0, -1.0],
            "identity",
            False,
            "and 1 of 2 are below 0: CAR divides r, so near 0 the ranking hangs on",
        ),
        ([5.0] * 19 + [-1.0], "identity", True, "is 4.7"),
        ([-3.0, 1.0], "identity", False, "is -1: the CAR table will refuse to rank. Of log-odds"),
        ([-3.0, 1.0], "sigmoid", True, "is 0.3892"),  # (1/(1+e^3) + 1/(1+e^-1)) / 2
        ([], "identity", True, "no reward"),
    ],
)
def test_rewards_on_both_sides_of_0_are_warned_of_since_car_divides_them(numbers, kind, passed, says):
    rows = pl.DataFrame({"reward": [*numbers, None]}, schema={"reward": pl.Float64})
    check = checks.positive_mean_reward(rows, RewardMap(kind=kind))
    assert check.passed == passed
    assert says in check.description
    assert passed or "'car: {reward_map: {kind: sigmoid}}'" in check.description


def test_the_bound_of_truncated_rows_is_the_studys():
    rows = answers("stop", "length")
    assert checks.truncated(rows, Limits(truncated_rows=0.5)).passed
    assert not checks.truncated(rows, Limits(truncated_rows=0.4)).passed


def rewards(*numbers):
    rows = [(f"r{n}", "i", 0, float(number), None) for n, number in enumerate(numbers)]
    return pl.DataFrame(rows, schema=REWARDS.row_schema, orient="row")


def scored(lake, *numbers):
    """Publish these rewards, and hold them against those of before."""
    lake.publish(REWARDS, rewards(*numbers), PLACE, "f")
    return lambda **limits: checks.reward_drift(lake, PLACE, rewards(*numbers), Limits(**limits))


def test_rewards_may_drift_as_far_as_the_study_says(lake):
    first = scored(lake, 1, 3)()
    assert (first.passed, first.description) == (True, "no response was scored anew in the last 7 days")
    check = scored(lake, 1.5, 3.5)
    assert not check().passed
    assert check(reward_drift=0.5).passed
    assert "2 responses was 2 in version 1 and is 2.5 (+0.5 sd)" in check().description
    assert check().metadata["shift"].value == 0.5


def test_rewards_that_were_all_one_number_and_are_not_any_more_drifted_beyond_any_bound(lake):
    scored(lake, 2, 2)
    check = scored(lake, 2, 3)(reward_drift=100)
    assert not check.passed
    assert "all earlier rewards were equal" in check.description


def test_where_earlier_rewards_were_vacuumed_the_check_does_not_pass_and_fails_no_run(lake):
    scored(lake, 1, 3)
    check = scored(lake, 1, 3.5)
    lake.open(REWARDS).vacuum(0, dry_run=False, enforce_retention_duration=False)
    found = check()
    assert (found.passed, found.severity) == (False, checks.WARN)
    assert found.description.startswith("not known, since the earlier rewards are gone: a data file of")


@pytest.mark.parametrize(("judged", "goes_on"), [(2, True), (1, False)])
def test_what_follows_does_not_run_where_an_answer_is_lost(judged, goes_on):
    @dg.asset(check_specs=[checks.spec("scored", "accounting", "all are there", blocking=True)])
    def scored() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[checks.accounting(Account(3, judged, 1, 0))])

    @dg.asset(deps=[scored])
    def reported() -> None:
        pass

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([scored, reported], raise_on_error=False, instance=instance)
        assert run.success == goes_on
        made = instance.get_latest_materialization_event(dg.AssetKey("reported"))
    assert (made is not None) == goes_on


def test_a_benchmark_item_among_the_instructions_is_warned_of():
    items = pl.DataFrame({"item_id": ["a", "b", "c"]})
    found = checks.unseen_items(items, pl.DataFrame({"prompt_hash": ["b", "x"]}))
    assert not found.passed
    assert found.description == "1 of 3 items are among the study's own instructions"
    assert checks.unseen_items(items, pl.DataFrame({"prompt_hash": ["x"]})).passed


def test_a_run_that_did_not_learn_is_warned_of_and_fails_nothing():
    short, whole = (checks.learned(doubt("a", steps, [2.0, 1.0])) for steps in (3, 300))
    assert (short.passed, short.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "3 optimizer steps" in str(short.description)
    assert whole.passed
