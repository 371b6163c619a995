"""Shares and other means of outcomes within known ends, with Wilson's interval."""

import math

import numpy as np
from numpy.typing import ArrayLike

from preceptor.statistics.estimates import NORMAL_95, NOTHING, Estimate

NORMAL_95_EXACT = 1.959963984540054  # the normal distribution's 97.5 % point


def wilson(share: float, n: float, z: float = NORMAL_95_EXACT) -> tuple[float, float]:
    """Wilson's score interval (JASA 22, 1927) of a share of n, which holds at 0 and 1 too.

    SciPy's `binomtest` has it for whole counts only. Here `share` may be the mean of fractions and `n` an
    effective number of items. Fractions with mean p vary less than p(1 - p) (Bhatia and Davis, 2000), so for
    them the interval is wider than need be.
    """
    denominator = 2 * (n + z**2)
    centre = (2 * n * share + z**2) / denominator
    margin = z / denominator * math.sqrt(max(4 * n * share * (1 - share), 0) + z**2)
    return min(max(centre - margin, 0.0), share), max(min(centre + margin, 1.0), share)


def mean_share(values: ArrayLike) -> Estimate:
    """The mean of values from 0 to 1 with `wilson`'s interval. Of 0s and 1s that is the share of 1s."""
    shares = np.asarray(values, np.float64)
    if len(shares) == 0:
        return Estimate(error=NOTHING)
    mean = math.fsum(shares) / len(shares)
    return Estimate(mean, *wilson(mean, len(shares)))


def unvaried(value: float, n: float, lowest: float = 0.0, highest: float = 1.0) -> Estimate:
    """The one outcome of all n items: a normal interval would be no wider than a point, Wilson's is.

    Outcomes in [lowest, highest] vary most, at a given mean, when they lie at the two ends (Bhatia and Davis
    2000): the interval is that of a share. One item, or one without such ends, has no interval.
    """
    if n <= 1 or math.isinf(highest - lowest):
        return Estimate(value)
    ends = wilson((value - lowest) / (highest - lowest), n, NORMAL_95)
    low, high = (lowest + (highest - lowest) * end for end in ends)
    return Estimate(value, max(min(low, value), lowest), min(max(high, value), highest))
