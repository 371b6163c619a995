"""Shares and their intervals equal closed forms."""

import math

import polars as pl
import pytest

from preceptor.evaluation.estimates import discrete_win_rate, item_mean, win_rate
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.statistics.proportions import mean_share, unvaried


def test_win_rate_is_the_mean_with_1_96_standard_errors():
    outcomes = [0.2, 0.4, 0.9]  # mean 0.5, squared deviations 0.09 + 0.01 + 0.16
    margin = 1.96 * math.sqrt(0.26 / 2 / 3)
    found = win_rate(outcomes)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - margin, 0.5 + margin))


def test_discrete_win_rate_counts_a_draw_as_half():
    found = discrete_win_rate([0.9, 0.6, 0.5, 0.2])  # 1, 1, 1/2, 0: mean 5/8
    margin = 1.96 * math.sqrt((2 * (3 / 8) ** 2 + (1 / 8) ** 2 + (5 / 8) ** 2) / 3 / 4)
    assert (found.value, found.low) == pytest.approx((0.625, 0.625 - margin))
    assert found.high == 1.0  # 0.625 + 0.469, limited to 1


@pytest.mark.parametrize("metric", [win_rate, discrete_win_rate])
def test_one_comparison_has_a_value_but_no_interval(metric):
    assert metric([1.0]) == Estimate(1.0)


@pytest.mark.parametrize("metric", [win_rate, discrete_win_rate])
@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_all_won_or_all_lost_has_wilsons_interval(metric, outcome):
    """For 50 of 50 it reaches down to 0.929, while the standard error is 0."""
    found = metric([outcome] * 50)
    expected = mean_share([outcome] * 50)
    assert found.value == outcome
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert found.high - found.low > 0.07


@pytest.mark.parametrize("metric", [win_rate, discrete_win_rate])
def test_draws_only_have_a_wide_interval(metric):
    found = metric([0.5] * 20)
    assert found.value == 0.5 and found.low < 0.3 and found.high > 0.7


def test_the_discrete_win_rate_ignores_the_margin():
    assert discrete_win_rate([0.9, 0.8, 0.7, 0.95, 0.6]) == discrete_win_rate([1.0] * 5)
    assert discrete_win_rate([0.7] * 5).low < 0.6


def test_an_items_answers_count_as_one_and_equal_items_have_wilsons_interval():
    rows = pl.DataFrame({"item_id": list("aabbc"), "outcome": [1.0, 3.0, 4.0, None, 6.0]})
    found, items = item_mean(rows)
    assert (found.value, items) == (4.0, 3)  # of 2, 4 and 6
    assert found.high == pytest.approx(4 + 1.96 * 2 / math.sqrt(3))
    assert item_mean(rows, 1, 6)[0].high == 6.0
    same = pl.DataFrame({"item_id": list("abcd"), "outcome": [6.0] * 4})
    assert item_mean(same, 1, 6) == (unvaried(6.0, 4, 1, 6), 4)


@pytest.mark.parametrize("metric", [win_rate, discrete_win_rate])
def test_no_outcomes_are_an_error(metric):
    assert metric([]) == Estimate(error=NOTHING)
