"""Formats numbers, intervals and lists for the report."""

import math
from collections.abc import Sequence

NOTHING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """A value with that many significant digits; from 1,000 on as a whole number."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def decimals(value: float | None, digits: int = 2) -> str:
    """A fixed number of decimals, so that a column lines up."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def column(values: Sequence[float | None], digits: int = 4) -> list[str]:
    """Formats all values with the same number of decimals: the largest gets that many digits."""
    largest = max((abs(value) for value in values if value), default=1.0)
    places = max(0, digits - 1 - math.floor(math.log10(largest)))
    return [decimals(value, places) for value in values]


def share(value: float | None) -> str:
    """A share from 0 to 1, in per cent with one decimal."""
    return NOTHING if value is None else f"{value:.1%}".replace("%", " %")


def measured(value: float | None, unit: str) -> str:
    """A value in its unit: a share in per cent, anything else as a number with three decimals."""
    return share(value) if unit == "share" else decimals(value, 3)


def p_value(value: float | None) -> str:
    """Two significant digits; `< 0.0001` for smaller values."""
    if value is None:
        return NOTHING
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def p_equals(value: float) -> str:
    """`p = 0.03` or `p < 0.0001`."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def span(low: str, high: str) -> str:
    """An interval's ends; one dash if there is no interval."""
    return NOTHING if NOTHING in (low, high) else f"{low} to {high}"


def ranks(low: int, high: int) -> str:
    """A rank interval; one number if only one rank is possible."""
    return str(low) if low == high else f"{low} to {high}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names joined for a sentence; at most `most` names are listed, the others are counted."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def counted(count: int, noun: str) -> str:
    """`1 row` or `2 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
