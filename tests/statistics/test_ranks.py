"""Rank intervals: what they claim to cover, they cover; percentiles of bootstrapped ranks do not."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.statistics.bootstrap import expanded_interval, resampled_means
from preceptor.statistics.ranks import rank_intervals, ranks, surely_better

TRUE_MEANS = np.array([5.0] * 8 + [5.5, 6.0])  # eight teachers that are equally good, and two better ones


def simulate(seed: int, instructions: int = 150, true_means: np.ndarray = TRUE_MEANS) -> np.ndarray:
    """(instructions, teachers): a shared difficulty makes the teachers' rows correlated, as real ones are."""
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, 1, (instructions, 1))
    return true_means + difficulty + generator.normal(0, 0.5, (instructions, len(true_means)))


def rank_interval(rows: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rank_intervals(rows.mean(0), draws, 0.95, np.full(rows.shape[1], len(rows)), seed=0)


def surely(rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return surely_better(rows.mean(0), draws, 0.95, np.full(rows.shape[1], len(rows)), seed=0)


def test_intervals_of_means_and_ranks_cover_the_truth_as_often_as_they_say():
    # 200 studies of 95 % intervals. Fewer than 178 hits have a probability of about 1e-4 where coverage is
    # 0.95 (binomial: 190 - 3.7 · 3.1). Tied teachers truly hold all the ranks that they tie for.
    true_low, true_high = ranks(TRUE_MEANS), len(TRUE_MEANS) + 1 - ranks(-TRUE_MEANS)
    mean_hits, rank_hits, naive_hits = 0, 0, 0
    for seed in range(200):
        rows = simulate(seed)
        draws = resampled_means(rows, resamples=400, seed=seed)
        low, high = expanded_interval(draws[:, :1], 0.95, np.array([len(rows)]))
        mean_hits += low[0] <= TRUE_MEANS[0] <= high[0]
        best, worst = rank_interval(rows, draws)
        rank_hits += bool(np.all((best <= true_low) & (true_high <= worst)))
        drawn = np.array([ranks(draw) for draw in draws])
        naive_low, naive_high = np.quantile(drawn, [0.025, 0.975], axis=0)
        naive_hits += bool(np.all((naive_low <= true_low) & (true_high <= naive_high)))
    assert 178 <= mean_hits < 200
    assert rank_hits >= 178
    assert naive_hits < 100  # why ranks are not bootstrapped directly


@pytest.mark.parametrize("instructions", [10, 20])
def test_with_few_instructions_too_intervals_hold_what_they_say(instructions):
    # Fifteen tied teachers, 200 studies, the binomial bound above; the normal quantile held 101 and 158.
    rank_hits, mean_hits = 0, 0
    for seed in range(200):
        rows = simulate(seed, instructions, np.zeros(15))
        draws = resampled_means(rows, resamples=400, seed=seed)
        best, worst = rank_interval(rows, draws)
        rank_hits += bool(np.all(best == 1) and np.all(worst == 15))
        low, high = expanded_interval(draws[:, :1], 0.95, np.array([instructions]))
        mean_hits += low[0] <= 0 <= high[0]
    assert 178 <= rank_hits < 200
    assert 178 <= mean_hits < 200


def test_pairs_with_few_common_rows_are_judged_by_those():
    # Same spread and difference, told to stand on 5 rows or on 5,000: only the latter are sure.
    draws = np.random.default_rng(0).normal([0.0, 4.0], 1.0, (500, 2))
    for count, sure in ((5, False), (5_000, True)):
        found = surely_better(np.array([0.0, 4.0]), draws, 0.95, np.array([5_000, count]), seed=0)
        assert found[1, 0] == sure


def test_clear_differences_give_single_ranks_and_ties_share_all():
    rows = np.random.default_rng(0).normal([1.0, 3.0, 2.0], 0.01, (100, 3))
    draws = resampled_means(rows, 500, 0)
    best, worst = rank_interval(rows, draws)
    assert (best.tolist(), worst.tolist()) == ([3, 1, 2], [3, 1, 2])
    same = np.repeat(rows[:, :1], 3, axis=1)
    best, worst = rank_interval(same, resampled_means(same, 500, 0))
    assert (best.tolist(), worst.tolist()) == ([1, 1, 1], [3, 3, 3])


def test_one_teacher_is_rank_one():
    best, worst = rank_interval(np.full((9, 1), 2.0), np.full((100, 1), 2.0))
    assert (best.tolist(), worst.tolist()) == ([1], [1])


@settings(max_examples=60)
@given(st.integers(1, 7), st.integers(2, 40), st.integers(0, 1000))
def test_the_estimated_rank_lies_in_its_interval_and_better_is_never_mutual(items, instructions, seed):
    rows = np.random.default_rng(seed).integers(0, 4, (instructions, items)).astype(float)
    draws = resampled_means(rows, 100, seed)
    best, worst = rank_interval(rows, draws)
    estimated = ranks(rows.mean(0))
    assert np.all((best >= 1) & (best <= estimated) & (estimated <= worst) & (worst <= items))
    better = surely(rows, draws)
    assert not np.any(better & better.T)


def test_ranks_share_the_better_place_in_a_tie():
    assert ranks(np.array([2.0, 3.0, 2.0, 1.0])).tolist() == [2, 1, 2, 4]


def test_an_item_without_draws_is_sure_of_nothing():
    rows = np.random.default_rng(0).normal([1.0, 3.0, 2.0], 0.01, (100, 3))
    draws = resampled_means(rows, 500, 0)
    draws[:, 2] = np.nan
    best, worst = rank_interval(rows, draws)
    assert (best.tolist(), worst.tolist()) == ([2, 1, 1], [3, 2, 3])


@pytest.mark.parametrize("scale", [2.0**900, 2.0**-900, 1.0])
def test_ranks_of_huge_and_tiny_values_are_those_of_ordinary_ones(scale):
    rows = simulate(1)
    draws = resampled_means(rows, resamples=300, seed=1)
    with warnings.catch_warnings(action="error"):
        found = surely(rows * scale, draws * scale)
    np.testing.assert_array_equal(found, surely(rows, draws))
    assert found.any()


def test_one_row_says_nothing_of_the_ranks_and_warns_of_nothing():
    # Nobody knows what another instruction would have given: every rank is possible.
    with warnings.catch_warnings(action="error"):
        best, worst = rank_interval(np.array([[3.0, 2.0, 1.0]]), np.full((200, 3), np.nan))
    assert (best.tolist(), worst.tolist()) == ([1, 1, 1], [3, 3, 3])
