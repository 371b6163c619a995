"""Estimates made of estimates: means and differences of independent ones."""

import math

import numpy as np
import pytest

from preceptor.statistics.estimates import difference_of, mean_of
from preceptor.statistics.proportions import mean_share


def share_of(count, n):
    return mean_share([1.0] * count + [0.0] * (n - count))


def test_the_interval_of_a_mean_is_that_of_independent_parts():
    """Of two normal estimates it is the textbook's, each end from its own side."""
    found = mean_of([0.2, 0.4], [0.1, 0.3], [0.3, 0.5])
    assert found.value == pytest.approx(0.3)
    margin = math.hypot(0.1, 0.1) / 2
    assert (found.low, found.high) == pytest.approx((0.3 - margin, 0.3 + margin))
    assert mean_of([0.2, 0.4], [0.1, None], [0.3, 0.5]).low is None


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    """Two shares of 200 items with Wilson's intervals, 2,000 draws: 95 % within three standard errors."""
    draw = np.random.default_rng(0)
    held = []
    for one, other in zip(draw.binomial(200, 0.1, 2000), draw.binomial(200, 0.4, 2000), strict=True):
        parts = [share_of(count, 200) for count in (one, other)]
        found = mean_of(*([getattr(part, end) for part in parts] for end in ("value", "low", "high")))
        held.append(found.low <= 0.25 <= found.high)
    assert abs(np.mean(held) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0000),
    ],
)
def test_the_interval_of_a_difference_of_shares_is_newcombes(first, second, low, high):
    """Newcombe, Statistics in Medicine 17 (1998), Table II, method 10."""
    found = difference_of(share_of(*first), share_of(*second))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
