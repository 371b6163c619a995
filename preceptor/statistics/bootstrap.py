"""Bootstrap over instructions. All teachers and bases share the resamples, so that comparisons are paired."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Rows = TypeVar("Rows", NDArray[np.float64], NDArray[np.bool_])
NUMBERS_AT_ONCE = 4_000_000
ELEMENTS_APART = 97


def resampled_means(cells: Floats, resamples: int, seed: int) -> Floats:
    """Column means over instructions drawn with replacement: (resamples, columns).

    cells is (instructions, columns) with NaN where a column has no value; a mean is over what was drawn and
    is there, NaN if nothing is. Columns that say the same, as one teacher's rewards for several bases, are
    averaged once.
    """
    columns, column_of = _distinct(cells.T)
    there, there_of = _distinct(~np.isnan(columns))
    columns[np.isnan(columns)] = 0.0
    sums, counts = [], []
    with threadpool_limits(1, "blas"):  # the cores are taken: one draws; and waiting threads would spin
        for weights in _ahead(_weights(len(cells), resamples, seed)):
            sums.append(weights @ columns.T)
            if not there.all():
                counts.append(weights @ there.T.astype(np.float64))
    with np.errstate(invalid="ignore"):
        drawn = np.concatenate(counts)[:, there_of] if counts else float(len(cells))
        means: Floats = np.concatenate(sums) / drawn
    return means[:, column_of]


def _distinct(rows: Rows) -> tuple[Rows, Integers]:
    """The rows that differ, and which of them each row is. Some elements tell most rows apart."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    which = np.empty(len(rows), dtype=np.int64)
    for number, row in enumerate(rows):
        place = seen.setdefault(row[::ELEMENTS_APART].tobytes(), len(first))
        if place == len(first) or not np.array_equal(rows[first[place]], row, equal_nan=True):
            place = len(first)
            first.append(number)
        which[number] = place
    return rows[first], which


def _ahead(made: Iterator[Floats]) -> Iterator[Floats]:
    """The same, each made by another thread while the one before it is worked on."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, made, None)
        while (ready := coming.result()) is not None:
            coming = thread.submit(next, made, None)
            yield ready


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
    """The number of draws of each row, in blocks of (resamples, rows)."""
    generator = np.random.default_rng(seed)
    at_once = max(1, NUMBERS_AT_ONCE // rows)
    for start in range(0, resamples, at_once):
        some = min(at_once, resamples - start)
        drawn = generator.integers(0, rows, size=(some, rows), dtype=np.int32)  # the draws that int64 gives
        yield np.array([np.bincount(one, minlength=rows) for one in drawn], dtype=np.float64)
