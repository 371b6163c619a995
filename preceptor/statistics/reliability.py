"""Agreement of two raters beyond chance: Cohen's kappa."""

import math

import numpy as np
from numpy.typing import NDArray

from preceptor.statistics.bootstrap import percentile_interval
from preceptor.statistics.estimates import NOTHING, Estimate

CONFIDENCE = 0.95
RESAMPLES = 10_000
ROUNDING = 1e-9  # kappas of the same table differ by less
Floats = NDArray[np.float64]


def cohens_kappa(table: Floats, seed: int) -> Estimate:
    """Kappa (Cohen, 1960) of counts (first rater's label, second rater's label), with a bootstrap interval.

    The interval is over 10,000 resamples of the items; none where every resample gives the same.
    """
    n = int(table.sum())
    if n == 0:
        return Estimate(error=NOTHING)
    value = float(_kappa(table))
    if math.isnan(value):
        return Estimate(error="both judges gave every item the same label: chance would agree as much")
    cells = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=RESAMPLES)
    draws = _kappa(cells.reshape(RESAMPLES, *table.shape).astype(np.float64))
    (low,), (high,) = percentile_interval(draws[:, None], CONFIDENCE)
    return Estimate(value, float(low), float(high)) if high - low > ROUNDING else Estimate(value)


def _kappa(table: Floats) -> Floats:
    """(observed - expected) / (1 - expected) agreement of (…, labels, labels); NaN where that is 0 / 0.

    scikit-learn's `cohen_kappa_score` takes one table's labels; the bootstrap has 10,000 tables.
    """
    n = table.sum((-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1) / n
    expected = (table.sum(-1) * table.sum(-2)).sum(-1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa: Floats = (observed - expected) / np.where(expected == 1, np.nan, 1 - expected)
    return kappa
