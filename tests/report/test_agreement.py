"""Spearman's ρ, its interval and its permutation p against independent computations."""

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from preceptor.report.agreement import agreement, conclusion, unless

numbers = st.integers(-5, 5)
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=6)
quick = settings(max_examples=30)


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
    found = agreement(range(len(second)), second)
    rho, p, critical = enumerated(range(len(second)), second)
    assert (found.rho, found.p_value) == pytest.approx((rho, p))
    assert found.smallest_significant == (None if critical is None else pytest.approx(critical))


# Zar, Biostatistical Analysis, Table B.20, two-sided 5 %; at n = 4 no |ρ| is enough
@pytest.mark.parametrize(("n", "critical"), [(5, 1.0), (6, 0.886), (7, 0.786), (8, 0.738)])
def test_the_smallest_significant_rho_is_that_of_the_published_tables(n, critical):
    found = agreement(range(n), [*range(1, n), 0])
    assert found.smallest_significant == pytest.approx(critical, abs=5e-4)


def test_above_eight_random_orders_come_close_to_the_published_table():
    found = agreement(range(19), [(7 * i) % 19 for i in range(19)])
    assert found.smallest_significant == pytest.approx(0.460, abs=0.01)  # Zar, n = 19
    exact = stats.spearmanr(range(19), [(7 * i) % 19 for i in range(19)])
    assert found.rho == pytest.approx(exact.statistic)
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.015)
    assert found == agreement(range(19), [(7 * i) % 19 for i in range(19)])


def test_nine_agreeing_teachers_have_a_small_p_but_never_none():
    found = agreement(range(9), range(9))  # 2 of 362880 orders: no random one need be among them
    assert 1 / 20_001 <= found.p_value <= 3 / 20_001


@quick
@given(pairs)
def test_rho_with_ties_is_scipys(rows):
    first, second = (list(column) for column in zip(*rows, strict=True))
    found = agreement(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found.rho is None and "the same" in found.reason
        return
    assert found.rho == pytest.approx(stats.spearmanr(first, second).statistic)
    ranked = stats.rankdata(first) - (len(first) + 1) / 2
    null = [abs(float(np.dot(ranked, stats.rankdata(order)))) for order in permutations(second)]
    seen = abs(float(np.dot(ranked, stats.rankdata(second))))
    assert found.p_value == pytest.approx(np.mean([each >= seen - 1e-9 for each in null]))


@quick
@given(pairs)
def test_bounds_symmetry_and_monotone_transforms(rows):
    first, second = (list(column) for column in zip(*rows, strict=True))
    found = agreement(first, second)
    assert agreement(second, first).rho == (None if found.rho is None else pytest.approx(found.rho))
    assert agreement([value**3 + 2 * value for value in first], [math.exp(v) for v in second]) == found
    if found.rho is None:
        return
    assert -1 <= found.rho <= 1 and 0 < found.p_value <= 1
    turned = agreement([-value for value in first], second)
    assert (turned.rho, turned.p_value) == pytest.approx((-found.rho, found.p_value))
    if found.low is not None:
        assert -1 < found.low < found.rho < found.high < 1
        assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_interval_by_hand():
    found = agreement(range(8), [1, 0, 4, 3, 2, 5, 7, 6])
    rho = 1 - 6 * (1 + 1 + 4 + 0 + 4 + 0 + 1 + 1) / (8 * 63)
    assert found.rho == pytest.approx(rho)
    z, error = 0.5 * math.log((1 + rho) / (1 - rho)), math.sqrt((1 + rho**2 / 2) / 5)
    ends = [
        (math.exp(2 * e) - 1) / (math.exp(2 * e) + 1) for e in (z - 1.959964 * error, z + 1.959964 * error)
    ]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-6)


def test_few_constant_and_bad_input():
    assert agreement([], []).reason == "no teacher has both a prediction and an outcome"
    assert agreement([1], [2]).reason == "only one teacher has both a prediction and an outcome"
    assert agreement([1, 1, 1], [1, 2, 3]).reason == "all 3 predictions are the same"
    assert agreement([1, 2, 3], [1, 1, 1]).reason == "all 3 outcomes are the same"
    three = agreement([1, 2, 3], [1, 3, 2])
    assert (three.low, three.high, three.reason) == (None, None, "3 teachers give no interval")
    with pytest.raises(ValueError, match="not 2 predictions and 3"):
        agreement([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="finite"):
        agreement([1, math.nan], [1, 2])


def test_what_can_be_concluded_is_said():
    assert conclusion(agreement([1, 2, 3, 4, 5, 6, 7, 8], [3, 1, 2, 8, 4, 5, 6, 7])) == (
        "ρ = 0.69 over 8 teachers; its 95 % interval runs from -0.13 to 0.95, and p = 0.069 by permutation,"
        " so with 8 teachers this cannot be told from no agreement: it would take |ρ| ≥ 0.74."
    )
    assert "agrees with what came out more than chance" in conclusion(agreement(range(8), range(8)))
    assert "is the reverse of what came out" in conclusion(agreement(range(8), range(8, 0, -1)))
    assert conclusion(agreement(range(4), range(4))).endswith("and neither could any other ρ.")
    hint = conclusion(agreement(range(8), [2, 0, 1, 4, 7, 3, 5, 6]))  # ρ = 0.738, interval from -0.04
    assert hint.endswith("includes none: take it as a hint.")
    assert conclusion(agreement([], [])) == (
        "No agreement can be computed: no teacher has both a prediction and an outcome."
    )


def test_one_of_many_tests_is_no_finding_unless_it_holds_beside_them():
    found = agreement(range(6), [1, 0, 2, 3, 4, 5])
    assert found.p_value < 0.05 and "more than chance" in conclusion(found)
    among = replace(found, tests=40, p_adjusted=0.4)
    assert "more than chance" not in conclusion(among) and "one of 40 tests" in conclusion(among)
    assert "more than chance" in conclusion(replace(found, tests=40, p_adjusted=0.03))


def test_what_must_not_be_tested_keeps_its_rho_alone():
    found = unless(
        agreement(range(8), range(8)), "n = 4 styles, not 8 teachers: those of one style are alike"
    )
    assert (found.rho, found.low, found.p_value, found.smallest_significant) == (1.0, None, None, None)
    assert "not tested: n = 4 styles, not 8 teachers" in conclusion(found)
    assert "chance" not in conclusion(found)
