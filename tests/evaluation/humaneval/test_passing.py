"""pass@k against exact fractions and drawn samples; its mean over problems."""

import random
from fractions import Fraction
from itertools import combinations
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.evaluation.humaneval.passing import mean_pass_at_k, pass_at_k
from preceptor.statistics.estimates import NOTHING, Estimate


@pytest.mark.parametrize("n", range(1, 21))
def test_it_is_the_papers_equation_for_all_c_and_k(n):
    for c in range(n + 1):
        for k in range(1, n + 1):
            exact = 1 - Fraction(comb(n - c, k), comb(n, k))
            assert pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-12)


def test_it_is_the_share_of_the_k_subsets_with_a_right_sample():
    for n, c, k in [(5, 2, 3), (6, 1, 2), (7, 3, 3)]:
        drawn = list(combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, drawn)) / len(drawn))


def test_it_is_unbiased_for_the_chance_that_one_of_k_passes():
    """20 samples that pass at p = 0.15: 1 - 0.85¹⁰ = 0.803 in the mean, give or take 4 standard errors."""
    generator, trials = random.Random(0), 4000
    found = [pass_at_k(20, sum(generator.random() < 0.15 for _ in range(20)), 10) for _ in range(trials)]
    mean = sum(found) / trials
    deviation = sqrt(sum((value - mean) ** 2 for value in found) / trials)
    assert mean == pytest.approx(1 - 0.85**10, abs=4 * deviation / sqrt(trials))


@given(st.integers(1, 10**6), st.data())
def test_large_counts_neither_overflow_nor_leave_0_to_1(n, data):
    c, k = data.draw(st.integers(0, min(n, 2000))), data.draw(st.integers(1, n))
    assert 0.0 <= pass_at_k(n, c, k) <= 1.0
    assert pass_at_k(n, c, 1) == pytest.approx(c / n, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "c", "k", "message"),
    [
        (5, 1, 6, "k = 6 with n = 5"),
        (5, 1, 0, "k = 0 with n = 5"),
        (0, 0, 1, "k = 1 with n = 0"),
        (5, 6, 1, "6 of 5 samples cannot pass"),
        (5, -1, 1, "-1 of 5"),
    ],
)
def test_impossible_counts_are_named(n, c, k, message):
    with pytest.raises(ValueError, match=message):
        pass_at_k(n, c, k)


def test_the_mean_weighs_problems_alike_whatever_their_samples():
    found = mean_pass_at_k([(20, 20), (10, 0), (4, 1), (2, 1)], 1)
    assert found.value == pytest.approx((1 + 0 + 0.25 + 0.5) / 4)


def test_the_interval_is_about_the_normal_one_where_problems_are_many():
    """200 problems, half solved: 0.5 ± 1.96 · √(0.25 / 200)."""
    found = mean_pass_at_k([(1, number % 2) for number in range(200)], 1)
    margin = 1.96 * sqrt(0.25 / 200)
    assert (found.low, found.high) == pytest.approx((0.5 - margin, 0.5 + margin), abs=0.006)
    assert found == mean_pass_at_k([(1, number % 2) for number in range(200)], 1)  # seeded


def test_no_problem_has_no_value_and_one_has_no_interval():
    assert mean_pass_at_k([], 1) == Estimate(error=NOTHING)
    assert mean_pass_at_k([(4, 1)], 1) == Estimate(0.25)


@pytest.mark.parametrize(("passing", "value"), [(0, 0.0), (4, 1.0)])
def test_where_all_problems_are_the_same_chance_is_not_gone(passing, value):
    """Wilson's interval of 0 of 164 reaches up to z² / (n + z²)."""
    found = mean_pass_at_k([(4, passing)] * 164, 1)
    assert found.value == value
    assert found.high - found.low == pytest.approx(1.96**2 / (164 + 1.96**2))


def test_a_problem_with_too_few_samples_is_an_error():
    with pytest.raises(ValueError, match="k = 10 with n = 9"):
        mean_pass_at_k([(20, 1), (9, 1)], 10)
