"""The bootstrap against an explicit one, and its handling of missing cells."""

import numpy as np
import pytest
from scipy import stats

from preceptor.car import bootstrap
from preceptor.car.bootstrap import expanded_interval, percentile_interval, resampled_means

ROWS = np.random.default_rng(3).gamma(2.0, 1.0, (80, 3))


def test_draws_are_means_of_rows_drawn_with_replacement():
    drawn = np.random.default_rng(7).integers(0, 80, size=(50, 80))
    expected = np.array([ROWS[rows].mean(0) for rows in drawn])
    np.testing.assert_allclose(resampled_means(ROWS, 50, seed=7), expected, rtol=1e-12)


def test_chunks_do_not_change_how_often_rows_are_drawn(monkeypatch):
    monkeypatch.setattr(bootstrap, "NUMBERS_AT_ONCE", 400)
    draws = resampled_means(ROWS, 997, seed=0)
    assert draws.shape == (997, 3)
    # The standard error of a mean is sd / √n; its bootstrap estimate from 997 draws is within 15 %.
    assert draws.std(0) == pytest.approx(ROWS.std(0) / np.sqrt(80), rel=0.15)


def test_the_interval_agrees_with_scipys_percentile_bootstrap():
    low, high = percentile_interval(resampled_means(ROWS, 20_000, seed=1), 0.9)
    reference = stats.bootstrap(
        (ROWS[:, 0],), np.mean, confidence_level=0.9, n_resamples=20_000, method="percentile"
    )
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert low[0] == pytest.approx(reference.confidence_interval.low, abs=0.05 * width)
    assert high[0] == pytest.approx(reference.confidence_interval.high, abs=0.05 * width)


def test_a_missing_cell_leaves_the_mean_of_the_others():
    rows = ROWS.copy()
    rows[:40, 1] = np.nan
    draws = resampled_means(rows, 500, seed=2)
    np.testing.assert_allclose(draws[:, [0, 2]], resampled_means(ROWS, 500, seed=2)[:, [0, 2]])
    assert draws[:, 1].mean() == pytest.approx(ROWS[40:, 1].mean(), abs=0.1)


def test_one_resample_serves_all_columns():
    twice = np.column_stack([ROWS[:, 0], ROWS[:, 0]])
    draws = resampled_means(twice, 100, seed=4)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])


@pytest.mark.parametrize("columns", [0, 3])
def test_without_any_draw_there_is_no_interval(columns):
    low, high = percentile_interval(np.full((50, columns), np.nan), 0.9)
    assert low.shape == high.shape == (columns,) and np.isnan([*low, *high]).all()


def test_the_expanded_interval_of_few_rows_has_the_width_of_students_t():
    # Of normal rows the percentile ends lie about ±z·s·√((n-1)/n)/√n from the mean; expanded, ±t·s/√n.
    rows = np.random.default_rng(5).normal(0, 1, (12, 1))
    low, high = expanded_interval(resampled_means(rows, 200_000, seed=6), 0.95, np.array([12]))
    half = stats.t.ppf(0.975, 11) * rows.std(ddof=1) / np.sqrt(12)
    assert high[0] - low[0] == pytest.approx(2 * half, rel=0.03)


def test_each_columns_own_count_expands_its_interval():
    draws = np.random.default_rng(7).normal(0, 1, (5_000, 4))
    draws[:, 1] = draws[:, 2] = draws[:, 0]
    low, high = expanded_interval(draws, 0.95, np.array([10, 100, 1_000_000, 1]))
    plain_low, plain_high = percentile_interval(draws, 0.95)
    assert (
        low[0] < low[1] < low[2] == pytest.approx(plain_low[2], rel=1e-4)
        and np.isnan([low[3], high[3]]).all()
    )
    assert high[0] > high[1] > high[2] == pytest.approx(plain_high[2], rel=1e-4)
