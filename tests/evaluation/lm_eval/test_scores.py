"""Aggregates against the formulas of the papers, worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.evaluation.lm_eval.presets import BBH, GSM8K, PRESETS, TYDIQA
from preceptor.evaluation.lm_eval.responses import ItemResult
from preceptor.evaluation.lm_eval.scores import NORMAL, aggregate, method
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.statistics.proportions import mean_share


def items(**tasks) -> list[ItemResult]:
    return [
        ItemResult(f"{task}{n}", task, ("?",), "", "", {}, outcome)
        for task, outcomes in tasks.items()
        for n, outcome in enumerate(outcomes)
    ]


def test_gsm8k_is_the_share_of_right_items_with_wilsons_interval():
    found = items(gsm8k_cot=[1, 0, 0, 1, 1])
    assert aggregate(GSM8K, found) == mean_share([1, 1, 1, 0, 0])
    assert method(GSM8K, found) == (
        "mean of lm-eval's exact_match/flexible-extract over items; Wilson's interval"
    )


def test_mmlu_weighs_its_subjects_by_their_items():
    found = aggregate(PRESETS["mmlu"], items(mmlu_anatomy=[1, 1, 1], mmlu_virology=[0]))
    assert found.value == 3 / 4


def test_bbh_tasks_of_one_size_have_wilsons_interval():
    assert aggregate(BBH, items(a=[1, 0], b=[1, 1])) == mean_share([1, 0, 1, 1])


def test_bbh_tasks_of_different_sizes_weigh_the_same():
    found = items(a=[1, 1, 0, 0], b=[1, 0])
    # Both means 1/2; their variances (4 · 1/4 / 3) / 4 = 1/12 and (2 · 1/4 / 1) / 2 = 1/4 add up to 1/3.
    margin = 1.96 * math.sqrt(1 / 3) / 2
    estimate = aggregate(BBH, found)
    assert estimate.value == 1 / 2
    assert (estimate.low, estimate.high) == pytest.approx((max(0.0, 0.5 - margin), min(1.0, 0.5 + margin)))
    assert method(BBH, found).endswith(f"over the tasks' means; {NORMAL}")


def test_tydiqas_f1_is_a_mean_of_means():
    # Means 0.4 and 0.8; squared deviations 0.02 and 0.02, so a variance of each mean of 0.02 / 1 / 2 = 0.01.
    found = aggregate(TYDIQA, items(fi=[0.3, 0.5], ko=[0.9, 0.7]))
    margin = 1.96 * math.sqrt(0.02) / 2
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.6 - margin, 0.6 + margin))


def test_an_item_without_outcome_is_left_out():
    assert aggregate(GSM8K, items(gsm8k_cot=[1, None, 0])).value == 1 / 2


def test_a_task_without_outcome_leaves_no_mean_of_tasks():
    assert aggregate(BBH, items(a=[1], b=[None])) == Estimate(error="no item of b has an outcome")


@pytest.mark.parametrize("outcomes", [[], [None]])
def test_nothing_at_all_is_an_error(outcomes):
    assert aggregate(GSM8K, items(gsm8k_cot=outcomes)) == Estimate(error=NOTHING)


def test_a_task_of_one_item_leaves_no_interval_and_that_is_said():
    tasks = items(a=[0.5], b=[0.5, 0.7])
    found = aggregate(TYDIQA, tasks)
    assert (found.value, found.low, found.high) == (pytest.approx(0.55), None, None)
    assert method(TYDIQA, tasks).endswith("no interval, since a task has one item")


def test_tasks_that_do_not_vary_have_wilsons_interval():
    # Means 0 over 2 and 4 items: a mean over 16/3 = 2² / (1/2 + 1/4) items is as precise.
    found = aggregate(TYDIQA, items(a=[0.0, 0.0], b=[0.0, 0.0, 0.0, 0.0]))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1.96**2 / (16 / 3 + 1.96**2))


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=9), min_size=1, max_size=5))
def test_the_value_lies_in_its_interval_and_the_interval_in_0_to_1(tasks):
    found = aggregate(BBH, items(**{f"t{n}": outcomes for n, outcomes in enumerate(tasks)}))
    means = [math.fsum(outcomes) / len(outcomes) for outcomes in tasks]
    assert found.value == pytest.approx(math.fsum(means) / len(means), abs=1e-12)
    if found.low is not None:
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.high <= 1
