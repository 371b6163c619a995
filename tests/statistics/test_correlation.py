"""Rank correlation, its test and its interval, and the AUC, against SciPy, scikit-learn and enumerations."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from preceptor.statistics.correlation import RankCorrelation, auc, kendall, rank_correlation, spearman

numbers = st.integers(-5, 5)
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=6)
quick = settings(max_examples=30)


def columns(rows):
    return (list(column) for column in zip(*rows, strict=True))


def enumerated(first, second):
    """ρ, p and the critical |ρ| from 1 - 6 Σd² / (n (n² - 1)) in whole numbers; no ties allowed."""
    n = len(first)
    ranks = [[sorted(values).index(value) for value in values] for values in (first, second)]

    def squares(order):
        return sum((a - b) ** 2 for a, b in zip(ranks[0], order, strict=True))

    def rho(d2):
        return 1 - 6 * d2 / (n * (n * n - 1))

    orders = [abs(n * (n * n - 1) - 6 * squares(order)) for order in permutations(ranks[1])]
    seen = abs(n * (n * n - 1) - 6 * squares(ranks[1]))
    p = sum(each >= seen for each in orders) / len(orders)
    enough = [v for v in set(orders) if sum(each >= v for each in orders) <= 0.05 * len(orders)]
    critical = min(enough) / (n * (n * n - 1)) if enough else None
    return rho(squares(ranks[1])), p, critical


@pytest.mark.parametrize(
    "second",
    [(2, 1, 4, 3, 5), (5, 4, 3, 2, 1), (1, 2, 3), (3, 1, 4, 2), (1, 3, 2, 6, 5, 4), (4, 3, 1, 2, 6, 5)],
)
def test_small_samples_equal_an_enumeration_in_whole_numbers(second):
    found = rank_correlation(range(len(second)), second)
    rho, p, critical = enumerated(range(len(second)), second)
    assert (found.rho, found.p_value) == pytest.approx((rho, p))
    assert found.smallest_significant == (None if critical is None else pytest.approx(critical))


# Zar, Biostatistical Analysis, Table B.20, two-sided 5 %; at n = 4 no |ρ| is enough
@pytest.mark.parametrize(("n", "critical"), [(5, 1.0), (6, 0.886), (7, 0.786), (8, 0.738)])
def test_the_smallest_significant_rho_is_that_of_the_published_tables(n, critical):
    found = rank_correlation(range(n), [*range(1, n), 0])
    assert found.smallest_significant == pytest.approx(critical, abs=5e-4)


def test_above_eight_random_orders_come_close_to_the_published_table():
    found = rank_correlation(range(19), [(7 * i) % 19 for i in range(19)])
    assert found.smallest_significant == pytest.approx(0.460, abs=0.01)  # Zar, n = 19
    exact = stats.spearmanr(range(19), [(7 * i) % 19 for i in range(19)])
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.015)
    assert found == rank_correlation(range(19), [(7 * i) % 19 for i in range(19)])


def test_nine_pairs_in_one_order_have_a_small_p_but_never_none():
    found = rank_correlation(range(9), range(9))  # 2 of 362880 orders: no random one need be among them
    assert 1 / 20_001 <= found.p_value <= 3 / 20_001


@quick
@given(pairs)
def test_rho_with_ties_is_scipys_and_p_counts_every_order(rows):
    first, second = columns(rows)
    found = rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found == RankCorrelation(None, len(rows))
        return
    assert found.rho == spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    ranked = stats.rankdata(first) - (len(first) + 1) / 2
    null = [abs(float(np.dot(ranked, stats.rankdata(order)))) for order in permutations(second)]
    seen = abs(float(np.dot(ranked, stats.rankdata(second))))
    assert found.p_value == pytest.approx(np.mean([each >= seen - 1e-9 for each in null]))


@quick
@given(pairs)
def test_bounds_symmetry_and_monotone_transforms(rows):
    first, second = columns(rows)
    found = rank_correlation(first, second)
    assert rank_correlation(second, first).rho == (None if found.rho is None else pytest.approx(found.rho))
    transformed = [value**3 + 2 * value for value in first], [math.exp(value) for value in second]
    assert rank_correlation(*transformed) == found
    if found.rho is None:
        return
    assert -1 <= found.rho <= 1 and 0 < found.p_value <= 1
    turned = rank_correlation([-value for value in first], second)
    assert (turned.rho, turned.p_value) == pytest.approx((-found.rho, found.p_value))
    if found.low is not None:
        assert -1 < found.low < found.rho < found.high < 1
        assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_interval_by_hand():
    found = rank_correlation(range(8), [1, 0, 4, 3, 2, 5, 7, 6])
    rho = 1 - 6 * (1 + 1 + 4 + 0 + 4 + 0 + 1 + 1) / (8 * 63)
    assert found.rho == pytest.approx(rho)
    z, error = 0.5 * math.log((1 + rho) / (1 - rho)), math.sqrt((1 + rho**2 / 2) / 5)
    ends = [
        (math.exp(2 * e) - 1) / (math.exp(2 * e) + 1) for e in (z - 1.959964 * error, z + 1.959964 * error)
    ]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-6)


def test_few_pairs_have_no_interval_and_bad_ones_are_refused():
    assert spearman([], []) is None and spearman([1], [2]) is None
    three = rank_correlation([1, 2, 3], [1, 3, 2])
    assert (three.rho, three.low, three.high) == (0.5, None, None)
    with pytest.raises(ValueError, match="not 2 numbers and 3"):
        spearman([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="finite"):
        spearman([1, math.nan], [1, 2])


@quick
@given(pairs)
def test_kendalls_tau_counts_pairs_with_ties(rows):
    """τ-b: (concordant - discordant) / √(pairs not tied in the first · pairs not tied in the second)."""
    first, second = columns(rows)
    steps = [(np.sign(a - c), np.sign(b - d)) for (a, b), (c, d) in combinations(rows, 2)]
    norm = math.sqrt(sum(a != 0 for a, _ in steps) * sum(b != 0 for _, b in steps))
    expected = sum(a * b for a, b in steps) / norm if norm else None
    assert kendall(first, second) == (None if expected is None else pytest.approx(expected))


@quick
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=30))
def test_the_auc_is_the_share_of_pairs_won_ties_half(rows):
    right, wrong = ([score for score, flag in rows if flag == side] for side in (True, False))
    won = [(a > b) + (a == b) / 2 for a in right for b in wrong]
    found = auc([score for score, _ in rows], [flag for _, flag in rows])
    assert found == (pytest.approx(np.mean(won)) if won else None)
