"""Holm's adjustment against the closed test, which it shortens."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.statistics.multiple import holm


@settings(max_examples=30)
@given(st.lists(st.integers(0, 100).map(lambda number: number / 100), max_size=5))
def test_holm_is_the_closed_test_of_bonferronis(p_values):
    """A hypothesis' p is the largest Bonferroni p of all families that it is in (Marcus et al., 1976)."""
    places = range(len(p_values))
    families = [family for size in places for family in combinations(places, size + 1)]
    expected = [
        max(min(1.0, len(f) * min(p_values[i] for i in f)) for f in families if place in f)
        for place in places
    ]
    assert holm(p_values) == pytest.approx(expected)


def test_holm_keeps_the_order_given_and_leaves_out_tests_that_were_not_made():
    # 3·0.01; 2·0.03; max(0.06, 0.04)
    assert holm([0.04, None, 0.01, 0.03]) == [pytest.approx(0.06), None, 0.03, pytest.approx(0.06)]
    assert holm([]) == [] and holm([None]) == [None]


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1])
def test_a_number_that_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="p-values from 0 to 1"):
        holm([0.2, wrong])
