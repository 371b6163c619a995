"""The bootstrap against an explicit one, and its handling of missing cells."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from preceptor.statistics import bootstrap
from preceptor.statistics.bootstrap import expanded_interval, percentile_interval, resampled_means

ROWS = np.random.default_rng(3).gamma(2.0, 1.0, (80, 3))


@settings(max_examples=40)
@given(
    st.integers(1, 30),
    st.integers(0, 5),
    st.sampled_from([0, 0.3, 0.95]),
    st.integers(1, 99),
    st.integers(0, 99),
)
def test_draws_are_means_of_the_rows_drawn_that_are_there(instructions, columns, missing, at_once, seed):
    # However many are drawn at once, and whichever columns say the same, or miss the same rows.
    generator = np.random.default_rng(seed)
    rows = generator.normal(5, 2, (instructions, columns))
    rows[generator.random(rows.shape) < missing] = np.nan
    rows = np.column_stack([rows, rows[:, ::-1], np.where(np.isnan(rows), rows, rows + 1)])
    drawn = np.random.default_rng(seed).integers(0, instructions, size=(37, instructions))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setattr(bootstrap, "NUMBERS_AT_ONCE", at_once)
        expected = np.array([np.nanmean(rows[some], axis=0) for some in drawn])
        np.testing.assert_allclose(resampled_means(rows, 37, seed), expected, rtol=1e-12)


def test_the_interval_agrees_with_scipys_percentile_bootstrap():
    low, high = percentile_interval(resampled_means(ROWS, 20_000, seed=1), 0.9)
    reference = stats.bootstrap(
        (ROWS[:, 0],), np.mean, confidence_level=0.9, n_resamples=20_000, method="percentile"
    )
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert low[0] == pytest.approx(reference.confidence_interval.low, abs=0.05 * width)
    assert high[0] == pytest.approx(reference.confidence_interval.high, abs=0.05 * width)


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
