"""Paired comparisons against McNemar's test, published intervals, closed testing and simulated coverage."""

from itertools import combinations, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from preceptor.evaluation.agreement.paired import (
    FLIPS,
    PairedDifference,
    holm,
    mean_difference,
    paired_difference,
    paired_differences,
)
from preceptor.evaluation.estimates import NOTHING, Estimate

quick = settings(max_examples=30)
SCHEMA = {"item_id": pl.String, "outcome": pl.Float64}
tenths = st.integers(0, 10).map(lambda number: number / 10)
small = st.lists(st.tuples(tenths, tenths), min_size=2, max_size=7)
binary = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=2, max_size=12
)


def frame(outcomes, start=0):
    items = [f"i{number:04}" for number in range(start, start + len(outcomes))]
    return pl.DataFrame({"item_id": items, "outcome": outcomes}, schema=SCHEMA)


def compared(pairs, seed=0):
    first, second = (list(column) for column in zip(*pairs, strict=True))
    return paired_difference(frame(first), frame(second), seed)


def discordant(wins, losses, same):
    return [(1.0, 0.0)] * wins + [(0.0, 1.0)] * losses + [(1.0, 1.0)] * same


@quick
@given(binary)
def test_p_of_right_and_wrong_is_mcnemars_exact_one(pairs):
    wins, losses = pairs.count((1.0, 0.0)), pairs.count((0.0, 1.0))
    expected = binom_p(wins, losses)
    assert compared(pairs).p_value == pytest.approx(expected)


def binom_p(wins, losses):
    return stats.binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0


@pytest.mark.parametrize(("wins", "losses"), [(9, 3), (12, 0), (20, 8), (15, 16)])
def test_many_discordant_pairs_have_mcnemars_exact_p(wins, losses):
    pairs = discordant(wins, losses, 10)
    found = compared(pairs)
    assert found.p_value == pytest.approx(binom_p(wins, losses))
    assert found.method.startswith("McNemar's exact test;")


def test_random_flips_come_close_to_all_flips():
    """16 differences of two sizes: all 2^16 signs counted here, 20,000 drawn there."""
    pairs = [(1.0, 0.0)] * 9 + [(0.0, 1.0)] * 3 + [(0.5, 0.0)] * 4
    moved = np.array([first - second for first, second in pairs])
    signs = np.array(list(product((1, -1), repeat=16)))
    expected = (np.abs(signs @ moved) >= abs(moved.sum()) - 1e-9).mean()
    found = compared(pairs)
    assert found.p_value == pytest.approx(expected, abs=4 * np.sqrt(expected / FLIPS))
    assert found.method.startswith("20,000 random sign flips")


@quick
@given(small)
def test_p_is_that_of_all_signs_counted_in_whole_numbers(pairs):
    tenth = [round(10 * first) - round(10 * second) for first, second in pairs]
    sums = [
        abs(sum(s * d for s, d in zip(signs, tenth, strict=True)))
        for signs in product((1, -1), repeat=len(tenth))
    ]
    expected = sum(each >= abs(sum(tenth)) for each in sums) / len(sums)
    assert compared(pairs).p_value == pytest.approx(expected)


def test_a_p_of_random_flips_is_never_0_and_the_seed_decides_it():
    pairs = [*discordant(40, 0, 0), (0.9, 0.1)]  # 2 of 2^41 signs reach it
    assert compared(pairs).p_value == 1 / (FLIPS + 1)
    several = [*discordant(20, 12, 0), (0.9, 0.1)]
    assert compared(several, seed=3) == compared(several, seed=3)
    assert compared(several, seed=3).p_value != compared(several, seed=4).p_value


@quick
@given(small)
def test_swapped_runs_swap_the_sign_and_nothing_else(pairs):
    found, swapped = compared(pairs), compared([(second, first) for first, second in pairs])
    assert (swapped.value, swapped.p_value) == pytest.approx((-found.value, found.p_value))
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert -1 <= found.low <= found.value <= found.high <= 1 and 0 < found.p_value <= 1
    first, second = (frame(list(column)) for column in zip(*pairs, strict=True))
    assert paired_difference(first.reverse(), second.sort("outcome"), 0) == found


@quick
@given(st.lists(tenths, min_size=2, max_size=20))
def test_a_run_does_not_differ_from_itself_yet_its_interval_has_a_width(outcomes):
    found = compared([(outcome, outcome) for outcome in outcomes])
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high


def test_samples_of_an_item_count_as_one_and_failed_ones_not_at_all():
    first = pl.DataFrame({"item_id": ["a", "a", "a", "b", "c"], "outcome": [1.0, 0.0, None, 1.0, 1.0]})
    second = pl.DataFrame({"item_id": ["a", "b", "b", "d", "e"], "outcome": [0.0, 0.0, 1.0, 1.0, None]})
    found = paired_difference(first, second, seed=0)
    assert (found.value, found.n, found.only_first, found.only_second) == (0.5, 2, 1, 1)  # 1/2 - 0, 1 - 1/2
    assert found.p_value == 0.5  # ++ and -- of four


def test_the_order_of_samples_does_not_change_the_last_digit():
    first, other = ([0.9, 0.3, 0.5], [0.3, 0.5, 0.9])  # polars' means of them differ by 1e-16
    runs = [
        pl.DataFrame({"item_id": ["a", "a", "a", "b"], "outcome": [*outcomes, 1.0]})
        for outcomes in (first, other)
    ]
    lost = frame([0.0, 0.0]).with_columns(item_id=pl.Series(["a", "b"]))
    assert paired_difference(runs[0], lost, 0) == paired_difference(runs[1], lost, 0)


def test_the_interval_is_bonetts_and_prices():
    # Example of ci.prop.ps in the R package statpsych, of the same author: 26 and 4 discordant of 48
    found = compared([(1.0, 0.0)] * 26 + [(0.0, 1.0)] * 4 + [(0.0, 0.0)] * 12 + [(1.0, 1.0)] * 6)
    assert (found.low, found.high) == pytest.approx((0.2548067, 0.6251933), abs=1e-5)
    assert found.value == pytest.approx(22 / 48)


CHANCES = [(0.15, 0.02), (0.05, 0.0), (0.3, 0.05), (0.05, 0.05)]  # of +1 and of -1: skewed


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
@pytest.mark.parametrize("chances", CHANCES)
def test_the_interval_holds_the_truth_in_95_of_100(n, chances):
    assert coverage(bonett_and_price, n, chances, 2000) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize("interval", [t_interval, bootstrap_interval])
def test_neither_t_nor_bootstrap_does_where_few_pairs_differ(interval):
    # No pair at all differs in 0.95^20 = 36 of 100 samples: these intervals are then the point 0
    assert coverage(interval, 20, (0.05, 0.0), 400) < 0.72
    assert mean_difference(np.zeros(20)).high > 0.05


def test_p_below_5_percent_comes_up_in_at_most_5_of_100_equal_runs():
    generator = np.random.default_rng(0)
    outcomes = generator.choice([0.0, 1.0], p=[0.7, 0.3], size=(300, 2, 15))
    p_values = [compared(list(zip(*runs, strict=True))).p_value for runs in outcomes.tolist()]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


@quick
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


def test_holm_by_hand_keeps_the_order_given():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])  # 3·0.01; 2·0.03; max(0.06, 0.04)
    assert holm([]) == []
    with pytest.raises(ValueError, match="p-values from 0 to 1"):
        holm([0.2, float("nan")])


def test_fewer_than_two_common_items_are_an_error_without_a_number():
    assert paired_difference(frame([]), frame([]), 0) == PairedDifference(
        error="no item has an outcome in both runs"
    )
    found = paired_difference(frame([1.0, 1.0]), frame([1.0, 0.0], start=1), 0)
    assert (found.n, found.only_first, found.only_second) == (1, 1, 1)
    assert found.error == "one item has an outcome in both runs" and found.value is found.p_value is None
    assert mean_difference(np.array([])) == Estimate(error=NOTHING)


def test_a_difference_beyond_the_largest_that_can_be_is_refused():
    with pytest.raises(ValueError, match="differ by more than 1, the most that can be"):
        paired_difference(frame([1.0, 1.0]), frame([1.0, 5.0]), 0)
    assert paired_difference(frame([1.0, 1.0]), frame([1.0, 5.0]), 0, largest=5.0).value == -2.0
    assert paired_difference(frame([1.0, 1.0]), frame([1.0, 9.0]), 0, largest=None).value == -4.0


def test_a_scale_of_another_length_stretches_the_interval_and_leaves_the_p_value():
    draw = np.random.default_rng(1)
    one, other = draw.random(40), draw.random(40)
    share = paired_difference(frame(one), frame(other), 0)
    grade = paired_difference(frame(1 + 5 * one), frame(1 + 5 * other), 0, largest=5.0)
    assert (grade.value, grade.low, grade.high) == pytest.approx(
        tuple(5 * x for x in (share.value, share.low, share.high))
    )
    assert grade.p_value == share.p_value


def test_a_scale_without_end_has_the_interval_of_the_mean():
    draw = np.random.default_rng(2)
    one, other = draw.gamma(2, 2, 50), draw.gamma(2, 2, 50)
    found = paired_difference(frame(one), frame(other), 0, largest=None)
    error = (one - other).std(ddof=1) / 50**0.5
    assert (found.low, found.high) == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error))


def test_all_pairs_are_those_that_two_runs_give_alone():
    draw = np.random.default_rng(3)
    runs = {name: frame((draw.random(60) < 0.5).astype(float)) for name in "abc"}
    together = pl.concat([rows.with_columns(run=pl.lit(name)) for name, rows in runs.items()])
    found = {(one, other): difference for one, other, difference in paired_differences(together, 7)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (one, other), difference in found.items():
        alone = paired_difference(runs[one], runs[other], 7)
        assert (difference.value, difference.low, difference.high, difference.n) == (
            alone.value,
            alone.low,
            alone.high,
            alone.n,
        )
        assert difference.p_value == pytest.approx(alone.p_value, abs=0.01)  # other items' signs differ
