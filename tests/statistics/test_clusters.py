"""Ratios over items: their values by item, and errors that count items."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem

from preceptor.statistics.clusters import clustered, ratio
from preceptor.statistics.estimates import Estimate

parts = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=30)


@given(parts)
def test_deviations_sum_to_0_and_values_have_the_ratio_as_their_mean(items):
    y, x = np.array(items, float).T
    found = ratio(y, x)
    assert found.value == pytest.approx(y.sum() / x.sum())
    assert found.deviations.sum() == pytest.approx(0, abs=1e-9)
    assert found.values.mean() == pytest.approx(found.value, abs=1e-9)


def test_a_value_moves_the_ratio_as_far_as_its_item_does():
    """The influence of an item is the ratio's slope as the item's weight goes up (Hampel, 1974)."""
    y, x = np.array([3.0, 0.0, 4.0, 1.0]), np.array([5.0, 2.0, 4.0, 9.0])
    found, step = ratio(y, x), 1e-6
    for item in range(4):
        weight = np.ones(4)
        weight[item] += step
        slope = ((weight @ y) / (weight @ x) - found.value) / step
        assert found.values[item] - found.value == pytest.approx(4 * slope, abs=1e-5)


@given(st.lists(st.integers(0, 10), min_size=2, max_size=30).filter(lambda values: len(set(values)) > 1))
def test_of_items_that_count_alike_the_interval_is_that_of_the_mean(values):
    found = ratio(values, np.ones(len(values)))
    margin = 1.96 * sem(values)
    estimate = clustered(found.value, found.deviations, lowest=-math.inf)
    assert (estimate.low, estimate.high) == pytest.approx((found.value - margin, found.value + margin))
    cut = clustered(found.value, found.deviations, lowest=found.value, highest=found.value)
    assert cut == Estimate(found.value, found.value, found.value)


def test_items_that_do_not_vary_have_wilsons_interval():
    found = clustered(1.0, np.zeros(9), lowest=0.0, highest=1.0)
    assert found.high == 1.0 and found.low == pytest.approx(9 / (9 + 1.96**2))
