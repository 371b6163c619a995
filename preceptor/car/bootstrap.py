"""Bootstrap over instructions: one resample serves all teachers and bases, so that comparisons are paired."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NUMBERS_AT_ONCE = 4_000_000


def resampled_means(cells: Floats, resamples: int, seed: int) -> Floats:
    """Column means over instructions drawn with replacement: (resamples, columns).

    cells is (instructions, columns) with NaN where a column has no value; a mean is over what was drawn and
    is there, NaN if nothing is.
    """
    there = ~np.isnan(cells)
    filled = np.where(there, cells, 0.0)
    complete = bool(there.all())
    sums, counts = [], []
    for weights in _weights(cells.shape[0], resamples, seed):
        sums.append(weights @ filled)
        counts.append(weights.sum(1, keepdims=True) if complete else weights @ there.astype(np.float64))
    with np.errstate(invalid="ignore"):
        means: Floats = np.concatenate(sums) / np.concatenate(counts)
    return means


def car(reward: Floats, loss: Floats, beta: float, form: str) -> Floats:
    """CAR from mean rewards and mean losses: r / (1 + β·L), or r · (1 + β·L) (arXiv 2411.07133)."""
    discount = 1 + beta * loss
    result: Floats = reward / discount if form == "ratio" else reward * discount
    return result


def percentile_interval(draws: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Per column of (resamples, columns), the interval that holds the middle share of the draws.

    A draw that has no value (NaN) is left out; a column without any draw has no interval (NaN).
    """
    tail = (1 - confidence) / 2
    low, high = (np.full(draws.shape[1], np.nan) for _ in range(2))
    drawn = ~np.isnan(draws).all(axis=0)
    if drawn.any():  # of no columns numpy makes no pair
        low[drawn], high[drawn] = np.nanquantile(draws[:, drawn], [tail, 1 - tail], axis=0)
    return low, high


def expanded_interval(draws: Floats, confidence: float, instructions: Integers) -> tuple[Floats, Floats]:
    """`percentile_interval` at the levels that hold the truth with few instructions too (Hesterberg, 2015).

    A bootstrap's spread is √((n - 1) / n) of the unbiased one, and n rows estimate it as Student's t allows
    for: the tail is Φ(-√(n / (n - 1)) · t) in place of Φ(-z). instructions (columns,) is the n of each
    column; one instruction gives no interval.
    """
    from scipy.stats import norm, t

    low, high = (np.full(draws.shape[1], np.nan) for _ in range(2))
    for count in np.unique(instructions[instructions > 1]):
        columns = np.flatnonzero(instructions == count)
        tail = norm.sf(np.sqrt(count / (count - 1)) * t.isf((1 - confidence) / 2, count - 1))
        low[columns], high[columns] = percentile_interval(draws[:, columns], 1 - 2 * float(tail))
    return low, high


def _weights(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn, (some resamples, rows) at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, NUMBERS_AT_ONCE // rows)
    for start in range(0, resamples, at_once):
        some = min(at_once, resamples - start)
        drawn = generator.integers(0, rows, size=(some, rows))
        drawn += np.arange(some)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=some * rows).reshape(some, rows).astype(np.float64)
