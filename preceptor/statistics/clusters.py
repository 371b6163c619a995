"""Means and ratios over items whose standard errors count items, not the rows of an item."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preceptor.statistics.estimates import NORMAL_95, Estimate, around
from preceptor.statistics.proportions import unvaried

ROUNDING = 1e-12  # deviations of items that are the same differ by less
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """R = Σy / Σx over items, and y - R·x of each item (`residuals`, which sum to 0)."""

    value: float
    residuals: Floats
    total: float

    @property
    def deviations(self) -> Floats:
        """Each item's linearised part in the ratio's error (Cochran, Sampling Techniques, 1977, ch. 6)."""
        return self.residuals / self.total

    @property
    def values(self) -> Floats:
        """R + n · each item's deviation. Their mean is R, so that tests of means hold for R."""
        return self.value + len(self.residuals) * self.residuals / self.total


def ratio(numerators: ArrayLike, denominators: ArrayLike) -> Ratio:
    """The ratio of two sums over items; with denominators of 1 it is the mean."""
    y, x = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    value = float(y.sum() / x.sum())
    return Ratio(value, y - value * x, float(x.sum()))


def clustered(value: float, deviations: Floats, lowest: float, highest: float = math.inf) -> Estimate:
    """A value and 1.96 standard errors, cut to [lowest, highest], where the items are what was drawn.

    The variance is n / (n - 1) times the sum of the items' squared deviations. Where items do not vary, the
    interval is that of `unvaried`; one item has none.
    """
    n = len(deviations)
    if same(deviations):
        return unvaried(value, n, lowest, highest)
    margin = NORMAL_95 * math.sqrt(n / (n - 1) * float(deviations @ deviations))
    return around(value, margin, lowest, highest)


def same(deviations: Floats) -> bool:
    """Whether no item deviates from the others."""
    return float(np.abs(deviations).max()) < ROUNDING
