"""Several tests at once: p-values of a family, adjusted for there being many."""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.05  # an adjusted p-value up to this is a finding


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values of a family, adjusted so that its chance of any false finding holds (Holm, 1979).

    In the order given. None is a test that was not made: it stays None and the family is smaller. Raises
    ValueError for a number that is no p-value.

    statsmodels' `multipletests` gives the same numbers, but collects garbage in every call: 0.1 s and more
    for each of a report's many families.
    """
    made = np.array([p_value for p_value in p_values if p_value is not None], dtype=np.float64)
    if not ((made >= 0) & (made <= 1)).all():
        raise ValueError("holm adjusts p-values from 0 to 1: give None for a test that has none")
    order = np.argsort(made, kind="stable")
    stepped = np.maximum.accumulate(made[order] * np.arange(len(made), 0, -1))
    made[order] = np.minimum(stepped, 1.0)
    adjusted = iter(made.tolist())
    return [None if p_value is None else next(adjusted) for p_value in p_values]
