"""Tests and intervals of differences: McNemar's test, enumerated signs, published intervals, coverage."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from preceptor.statistics.differences import FLIPS, mean_difference, sign_flip_tests, welch
from preceptor.statistics.estimates import NOTHING, Estimate

quick = settings(max_examples=30)
tenths = st.lists(st.integers(-10, 10), min_size=1, max_size=7)
signs = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=12)


def p_of(differences, seed=0):
    (found,) = sign_flip_tests(np.array([differences], dtype=float), seed)
    return found


def mcnemar(wins, losses):
    return stats.binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0


@quick
@given(signs)
def test_p_of_differences_of_one_size_is_mcnemars_exact_one(differences):
    expected = mcnemar(differences.count(1.0), differences.count(-1.0))
    assert p_of(differences).p_value == pytest.approx(expected)


@pytest.mark.parametrize(("wins", "losses"), [(9, 3), (12, 0), (20, 8), (15, 16)])
def test_many_differences_of_one_size_have_mcnemars_exact_p(wins, losses):
    found = p_of([0.5] * wins + [-0.5] * losses + [0.0] * 10)
    assert found.p_value == pytest.approx(mcnemar(wins, losses))
    assert found.method == "McNemar's exact test"


@quick
@given(tenths)
def test_p_of_few_is_that_of_all_signs_counted_in_whole_numbers(tenth):
    sums = [
        abs(sum(s * d for s, d in zip(s, tenth, strict=True))) for s in product((1, -1), repeat=len(tenth))
    ]
    expected = sum(each >= abs(sum(tenth)) for each in sums) / len(sums)
    assert p_of([d / 10 for d in tenth]).p_value == pytest.approx(expected)
    assert p_of([-d / 10 for d in tenth]).p_value == pytest.approx(expected)


def test_random_flips_come_close_to_all_flips():
    """16 differences of two sizes: all 2^16 signs counted here, 20,000 drawn there."""
    moved = np.array([1.0] * 9 + [-1.0] * 3 + [0.5] * 4)
    every = np.array(list(product((1, -1), repeat=16)))
    expected = (np.abs(every @ moved) >= abs(moved.sum()) - 1e-9).mean()
    found = p_of(moved)
    assert found.p_value == pytest.approx(expected, abs=4 * np.sqrt(expected / FLIPS))
    assert found.method.startswith(f"{FLIPS:,} random sign flips")


def test_a_p_of_random_flips_is_never_0_and_the_seed_decides_it():
    assert p_of([1.0] * 40 + [0.8]).p_value == 1 / (FLIPS + 1)  # 2 of 2^41 signs reach it
    several = [1.0] * 20 + [-1.0] * 12 + [0.8]
    assert p_of(several, seed=3) == p_of(several, seed=3)
    assert p_of(several, seed=3).p_value != p_of(several, seed=4).p_value


def test_a_missing_pair_is_no_difference():
    rows = np.array([[0.3, np.nan, -0.1, 0.2], [0.3, 0.0, -0.1, 0.2]])
    missing, zero = sign_flip_tests(rows, 0)
    assert missing == zero == p_of([0.3, -0.1, 0.2])


def test_p_below_5_percent_comes_up_in_at_most_5_of_100_samples_without_a_difference():
    outcomes = np.random.default_rng(0).choice([0.0, 1.0], p=[0.7, 0.3], size=(2, 300, 15))
    p_values = np.array([test.p_value for test in sign_flip_tests(outcomes[0] - outcomes[1], 0)])
    assert np.mean(p_values <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_the_interval_is_bonetts_and_prices():
    # Example of ci.prop.ps in the R package statpsych, of the same author: 26 and 4 discordant of 48
    found = mean_difference(np.array([1.0] * 26 + [-1.0] * 4 + [0.0] * 18))
    assert (found.low, found.high) == pytest.approx((0.2548067, 0.6251933), abs=1e-5)
    assert found.value == pytest.approx(22 / 48)


def t_interval(rows):
    mean, error = rows.mean(1), rows.std(1, ddof=1) / np.sqrt(rows.shape[1])
    margin = stats.t.ppf(0.975, rows.shape[1] - 1) * error
    return mean - margin, mean + margin


def bootstrap_interval(rows):
    generator, n = np.random.default_rng(1), rows.shape[1]
    draws = [generator.multinomial(n, np.full(n, 1 / n), 400) @ row / n for row in rows]
    return np.quantile(draws, [0.025, 0.975], axis=1)


def bonett_and_price(rows):
    found = [mean_difference(row) for row in rows]
    return np.array([each.low for each in found]), np.array([each.high for each in found])


def coverage(interval, n, chances, runs):
    wins, losses = chances
    drawn = np.random.default_rng(0).choice(
        [1.0, -1.0, 0.0], p=[wins, losses, 1 - wins - losses], size=(runs, n)
    )
    low, high = interval(drawn)
    truth = wins - losses
    return float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)))


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("chances", [(0.15, 0.02), (0.05, 0.0), (0.3, 0.05), (0.05, 0.05)])  # +1 and -1
def test_the_interval_holds_the_truth_in_95_of_100(n, chances):
    assert coverage(bonett_and_price, n, chances, 2000) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize("interval", [t_interval, bootstrap_interval])
def test_neither_t_nor_bootstrap_does_where_few_pairs_differ(interval):
    # No pair at all differs in 0.95^20 = 36 of 100 samples: these intervals are then the point 0
    assert coverage(interval, 20, (0.05, 0.0), 400) < 0.72
    assert mean_difference(np.zeros(20)).high > 0.05


def test_the_interval_scales_with_the_largest_difference():
    differences = np.random.default_rng(1).uniform(-1, 1, 40)
    share, grade = mean_difference(differences), mean_difference(5 * differences, largest=5.0)
    expected = tuple(5 * x for x in (share.value, share.low, share.high))
    assert (grade.value, grade.low, grade.high) == pytest.approx(expected)


def test_without_a_largest_difference_the_interval_is_that_of_the_mean():
    differences = np.random.default_rng(2).normal(1, 3, 50)
    found, error = mean_difference(differences, largest=None), stats.sem(differences)
    assert (found.low, found.high) == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error))
    assert mean_difference(np.array([2.0]), largest=None) == Estimate(2.0)
    assert mean_difference(np.array([])) == Estimate(error=NOTHING)


def test_welchs_p_by_hand_and_none_without_any_spread():
    first, second = [0.5, 0.7, 0.9], [0.2, 0.25, 0.3, 0.35]
    errors = [np.var(sample, ddof=1) / len(sample) for sample in (first, second)]
    t = (np.mean(first) - np.mean(second)) / math.sqrt(sum(errors))
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / 2 + errors[1] ** 2 / 3)  # Welch and Satterthwaite
    assert welch(first, second) == pytest.approx(2 * stats.t.sf(t, freedom))
    assert welch([0.5, 0.5], [0.1, 0.1, 0.1]) is None


@pytest.mark.parametrize("counts", [(2, 2), (3, 5), (5, 5)])
def test_welchs_p_below_5_percent_comes_up_in_few_samples_of_equal_means(counts):
    dice, tries = np.random.default_rng(3), 400
    samples = [
        [dice.normal(0.5, s, n) for s, n in zip((0.02, 0.05), counts, strict=True)] for _ in range(tries)
    ]
    assert sum(welch(*pair) <= 0.05 for pair in samples) <= stats.binom.ppf(0.9999, tries, 0.07)
