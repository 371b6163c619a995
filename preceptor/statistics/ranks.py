"""Rank intervals from simultaneous pairwise comparisons.

Percentiles of bootstrapped ranks have far too low coverage. Instead, all pairwise differences get intervals
that hold jointly. A teacher's rank is at least 1 + the number surely better, and at most the number of
teachers minus the number surely worse (Klein, Wright and Wieczorek 2020; Mogstad, Romano, Shaikh and
Wilhelm 2024).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def ranks(values: Floats) -> Integers:
    """1 + the number of strictly higher values; ties share the better rank."""
    higher: Integers = (values[None, :] > values[:, None]).sum(axis=1)
    return 1 + higher


def rank_intervals(
    values: Floats, draws: Floats, confidence: float, instructions: Integers, seed: int
) -> tuple[Integers, Integers]:
    """Lowest and highest rank of each of the values, jointly at the confidence.

    values (items,) are the estimates, draws (resamples, items) their bootstrap replicates, instructions
    (items,) how many rows each stands on; `seed` is that of the critical value.
    """
    items = len(values)
    better = surely_better(values, draws, confidence, instructions, seed)
    return 1 + better.sum(axis=0), items - better.sum(axis=1)


def surely_better(
    values: Floats, draws: Floats, confidence: float, instructions: Integers, seed: int
) -> NDArray[np.bool_]:
    """(items, items): whether row's item is above column's, jointly over all pairs at the confidence.

    An item without draws (all NaN) or of one instruction is surely better or worse than none.
    """
    # By a power of two, which changes no digit: squares of 1e300 would be infinite, of 1e-300 nothing.
    _, exponent = np.frexp(np.abs(values).max(initial=0.0))
    values, draws = np.ldexp(values, -exponent), np.ldexp(draws, -exponent)
    first, second = np.triu_indices(len(values), k=1)
    rows = np.minimum(instructions[first], instructions[second])
    difference = values[first] - values[second]
    replicates = draws[:, first] - draws[:, second]
    known = ((~np.isnan(replicates)).sum(axis=0) > 1) & (rows > 1)
    spread = np.full(len(first), np.inf)
    spread[known] = np.nanstd(replicates[:, known], axis=0, ddof=1)
    # Two teachers with the same answers differ by 0 in every draw, but for rounding: a tie, no certainty.
    rounding = 1e-12 * np.abs(values).max(initial=0.0)
    varies = known & (spread > rounding)
    critical = 0.0
    if varies.any():
        z = np.abs(replicates[:, varies] - difference[varies]) / spread[varies]
        critical = _critical_value(z, rows[varies], confidence, seed)
    margin = np.full(len(first), np.inf)
    unbiased = np.sqrt(rows[known] / (rows[known] - 1))
    margin[known] = np.maximum(critical * unbiased * spread[known], rounding)
    result = np.zeros((len(values), len(values)), dtype=bool)
    result[first, second] = difference > margin
    result[second, first] = -difference > margin
    return result


def _critical_value(z: Floats, rows: Integers, confidence: float, seed: int) -> float:
    """What the largest |t| of all pairs stays below, at the confidence, where all teachers are equal.

    z (resamples, pairs) knows how the pairs move together. Each pair's spread is itself an estimate from few
    rows: dividing by √(χ² / (n - 1)) makes each column Student's t, with a spread of its own. One spread for
    all pairs covers .92 where this covers .96 (20 teachers, 10 instructions; benchmarks/RESULTS.md).
    """
    degrees = np.broadcast_to(rows - 1, z.shape)
    estimated = np.sqrt(np.random.default_rng(seed).chisquare(degrees) / degrees)
    return float(np.quantile(np.nanmax(z / estimated, axis=1), confidence))
