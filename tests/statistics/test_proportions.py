"""Shares and their intervals against SciPy's, closed forms and simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.statistics.proportions import mean_share, unvaried, wilson


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_share_of_a_count_and_its_interval_are_scipys(counted):
    right, n = counted
    found = mean_share([1.0] * right + [0.0] * (n - right))
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert found == Estimate(right / n, expected.low, expected.high)


@given(st.floats(0, 1), st.floats(1.5, 1e6))
def test_the_ends_are_where_the_score_test_just_holds(share, n):
    """Wilson's ends are the p0 with |p - p0| = z·√(p0(1 - p0) / n)."""
    low, high = wilson(share, n, 1.96)
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 1e-6 < end < 1 - 1e-6:
            assert abs(share - end) == pytest.approx(1.96 * (end * (1 - end) / n) ** 0.5, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("n", [10, 50])
@pytest.mark.parametrize("chances", [(0.7, 0.2, 0.1), (0.9, 0.1, 0.0), (0.3, 0.3, 0.4)])
def test_the_interval_of_fractions_covers_at_least_95_percent(n, chances):
    drawn = np.random.default_rng(0).choice([1.0, 0.5, 0.0], p=chances, size=(1000, n))
    truth = chances[0] + chances[1] / 2
    found = [mean_share(row) for row in drawn]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.95


def test_nothing_at_all_is_an_error():
    assert mean_share([]) == Estimate(error=NOTHING)


def test_items_that_do_not_vary_have_an_interval_between_the_ends():
    found = unvaried(6.0, 4, 1, 6)
    assert (found.value, found.high) == (6.0, 6.0)
    assert found.low == pytest.approx(1 + 5 * 4 / (4 + 1.96**2))
    assert unvaried(0.5, 1) == Estimate(0.5)  # one item has none
    assert unvaried(6.0, 4, 1, math.inf) == Estimate(6.0)  # without ends nothing tells how far chance reaches
