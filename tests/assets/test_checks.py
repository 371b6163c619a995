"""When the checks of a partition pass, and what they report."""

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
    "endings,passed,facts",
    [
        (["stop"] * 19 + ["length"], True, ["1 of 20 ", "(5.0%)"]),
        (["stop"] * 18 + ["length"], False, ["1 of 19 ", "(5.3%)"]),
        (["length", "error", "error"], False, ["1 of 1 ", "(100.0%)"]),
        ([None] * 3, True, ["0 of 0 ", "(0.0%); 3 have no finish reason"]),
        ([], True, ["0 of 0 ", "(0.0%)"]),
    ],
)
def test_responses_without_a_finish_reason_do_not_count_as_whole(endings, passed, facts):
    check = checks.truncated(answers(*endings), Limits())
    assert check.passed == passed
    assert all(fact in check.description for fact in facts)


def test_the_failure_rate_names_the_most_frequent_reason():
    rows = pl.DataFrame({"error": ["too long"] * 2 + ["gone", None]})
    description = checks.failure_rate(rows, Limits()).description
    assert "3 of 4 rows failed (75.0%)" in description and description.endswith(": too long")


def test_losses_in_reading_are_a_warning_that_names_them():
    assert checks.read_whole([]).passed
    lost = checks.read_whole(["mine: 1 of 9 rows cannot be used", "column 'note' holds text"])
    assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = checks.read_whole([], ["column 'text' is left out"])
    assert told.passed and str(told.description).endswith("; column 'text' is left out")
    assert lost.description == "mine: 1 of 9 rows cannot be used; column 'note' holds text"


@pytest.mark.parametrize("found, passed", [(1000, True), (999, False), (960, False)])
def test_a_recipe_that_gets_a_row_less_than_it_asks_for_is_a_warning_that_says_why(found, passed):
    recipe = OneTeacher(name="r", kind="teacher", teacher="t", rows=1000)
    reason = shortfall(recipe, found, 12, 0)
    check = checks.as_many_as_asked(1000, found, reason)
    assert check.passed == passed
    assert "1,000 rows" in check.description
    if not passed:
        assert check.description == reason
        facts = ("recipe r", str(found), f"{1000 - found} fewer", "12 more", "cut_responses: keep")
        assert all(fact in reason for fact in facts)


@pytest.mark.parametrize(
    ("numbers", "kind", "passed", "says"),
    [
        ([1.0, 2.0], "identity", True, "is 1.5"),
        ([3.0, -1.0], "identity", False, "1 of 2 are below 0"),
        ([5.0] * 19 + [-1.0], "identity", True, "is 4.7"),
        ([-3.0, 1.0], "identity", False, "is -1: the CAR table will refuse to rank"),
        ([-3.0, 1.0], "sigmoid", True, "is 0.3892"),  # (1/(1+e^3) + 1/(1+e^-1)) / 2
        ([], "identity", True, "no reward"),
    ],
)
def test_rewards_on_both_sides_of_0_are_a_warning(numbers, kind, passed, says):
    rows = pl.DataFrame({"reward": [*numbers, None]}, schema={"reward": pl.Float64})
    check = checks.positive_mean_reward(rows, RewardMap(kind=kind))
    assert check.passed == passed
    assert says in check.description
    assert passed or "'car: {reward_map: {kind: sigmoid}}'" in check.description


def test_the_study_sets_the_limit_of_truncated_rows():
    rows = answers("stop", "length")
    assert checks.truncated(rows, Limits(truncated_rows=0.5)).passed
    assert not checks.truncated(rows, Limits(truncated_rows=0.4)).passed


def rewards(*numbers):
    rows = [(f"r{n}", "i", 0, float(number), None) for n, number in enumerate(numbers)]
    return pl.DataFrame(rows, schema=REWARDS.row_schema, orient="row")


def scored(lake, *numbers):
    """Publish these rewards; returns a check that compares them with earlier ones."""
    lake.publish(REWARDS, rewards(*numbers), PLACE, "f")
    return lambda **limits: checks.reward_drift(lake, PLACE, rewards(*numbers), Limits(**limits))


def test_the_study_sets_the_limit_of_reward_drift(lake):
    first = scored(lake, 1, 3)()
    assert first.passed and "7 days" in first.description
    check = scored(lake, 1.5, 3.5)
    assert not check().passed
    assert check(reward_drift=0.5).passed
    assert "2 responses was 2 in version 1 and is 2.5 (+0.5 sd)" in check().description
    assert check().metadata["shift"].value == 0.5


def test_rewards_that_were_all_equal_and_no_longer_are_exceed_any_drift_limit(lake):
    scored(lake, 2, 2)
    check = scored(lake, 2, 3)(reward_drift=100)
    assert not check.passed
    assert "all earlier rewards were equal" in check.description


def test_reward_drift_without_earlier_rewards_is_a_warning(lake):
    scored(lake, 1, 3)
    check = scored(lake, 1, 3.5)
    lake.open(REWARDS).vacuum(0, dry_run=False, enforce_retention_duration=False)
    found = check()
    assert (found.passed, found.severity) == (False, checks.WARN)
    assert "earlier rewards are gone: a data file of" in found.description


@pytest.mark.parametrize(("judged", "goes_on"), [(2, True), (1, False)])
def test_downstream_assets_do_not_run_if_an_answer_is_lost(judged, goes_on):
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


def test_a_benchmark_item_among_the_instructions_is_a_warning():
    items = pl.DataFrame({"item_id": ["a", "b", "c"]})
    found = checks.unseen_items(items, pl.DataFrame({"prompt_hash": ["b", "x"]}))
    assert not found.passed
    assert "1 of 3 items" in found.description
    assert checks.unseen_items(items, pl.DataFrame({"prompt_hash": ["x"]})).passed


def test_a_run_that_did_not_learn_is_a_warning():
    short, whole = (checks.learned(doubt("a", steps, [2.0, 1.0])) for steps in (3, 300))
    assert (short.passed, short.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "3 optimizer steps" in str(short.description)
    assert whole.passed
