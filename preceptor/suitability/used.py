"""Which cells the means are taken over: of `common` rows those that all teachers of a base have, or all."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preceptor.suitability.cells import Cells, Floats

Truth = NDArray[np.bool_]


def used_cells(there: Truth, rows: Literal["common", "available"]) -> Truth:
    """(bases, teachers, instructions), from which cells are there.

    With `common` rows the means of a base are paired: an instruction counts where every teacher that the
    base can rank has a cell. With `available` ones it counts for whoever has it.
    """
    if rows == "available":
        return there
    ranked = there.any(axis=2, keepdims=True)
    common: Truth = (there | ~ranked).all(axis=1, keepdims=True) & there
    return common


def used_values(cells: Cells, used: Truth) -> Floats:
    """(2, bases, teachers, instructions): rewards and losses of the cells used, NaN for the others.

    An instruction that nothing uses is left out: it would be resampled for nothing.
    """
    if used.all():
        return cells.values
    values = cells.values[..., used.any(axis=(0, 1))]
    values[:, ~used[..., used.any(axis=(0, 1))]] = np.nan
    return values
