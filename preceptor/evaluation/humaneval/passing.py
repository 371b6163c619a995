"""pass@k: the chance that at least one of k samples of a problem passes its tests."""

from collections.abc import Sequence

import numpy as np

from preceptor.statistics.bootstrap import expanded_interval, resampled_means
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.statistics.proportions import unvaried

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 0


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k), the unbiased estimate from n samples of which c pass.

    Chen et al. 2021 (arXiv 2107.03374), Eq. 1, as the product of (1 - k / i) over i = n - c + 1 ... n, which
    avoids overflow of factorials. Raises ValueError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
    """
    if not 0 <= c <= n:
        raise ValueError(f"pass@k needs 0 ≤ c ≤ n: {c} of {n} samples cannot pass")
    if not 1 <= k <= n:
        raise ValueError(f"pass@k needs 1 ≤ k ≤ n: k = {k} with n = {n}; draw more samples or lower k")
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def mean_pass_at_k(samples: Sequence[tuple[int, int]], k: int) -> Estimate:
    """Mean of pass@k over problems, each (n samples, c of them right), with its 95 % interval.

    The interval is a bootstrap over problems, expanded for few problems: 10,000 draws, seed 0. If problems do
    not vary, it is Wilson's. One problem has no interval.
    Raises ValueError for a problem with fewer than k samples.
    """
    if not samples:
        return Estimate(error=NOTHING)
    chances = np.array([[pass_at_k(n, c, k)] for n, c in samples])
    value = float(chances.mean())
    if np.ptp(chances) == 0:
        return unvaried(value, len(samples))
    draws = resampled_means(chances, RESAMPLES, SEED)
    low, high = expanded_interval(draws, CONFIDENCE, np.array([len(samples)]))
    return Estimate(value, float(low[0]), float(high[0]))
