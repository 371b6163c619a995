"""Numbers, intervals and lists as a reader wants them."""

import math
from collections.abc import Sequence

NOTHING = "–"


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits; thousands stay whole."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def decimals(value: float | None, digits: int = 2) -> str:
    """A fixed number of decimals, so that a column lines up."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def column(values: Sequence[float | None], digits: int = 4) -> list[str]:
    """All with as many decimals as show that many digits of the largest."""
    largest = max((abs(value) for value in values if value), default=1.0)
    places = max(0, digits - 1 - math.floor(math.log10(largest)))
    return [decimals(value, places) for value in values]


def share(value: float | None) -> str:
    """0 to 1 as per cent with one decimal."""
    return NOTHING if value is None else f"{value:.1%}".replace("%", " %")


def measured(value: float | None, unit: str) -> str:
    """A value in its unit: shares as per cent, anything else as the number that it is."""
    return share(value) if unit == "share" else decimals(value, 3)


def p_value(value: float | None) -> str:
    """Two significant digits; what is smaller than a test can tell is not written out."""
    if value is None:
        return NOTHING
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def p_equals(value: float) -> str:
    """`p = 0.03`, `p < 0.0001`."""
    said = p_value(value)
    return f"p {said}" if said.startswith("<") else f"p = {said}"


def span(low: str, high: str) -> str:
    """An interval's ends; one dash where there is none."""
    return NOTHING if NOTHING in (low, high) else f"{low} to {high}"


def ranks(low: int, high: int) -> str:
    """A rank interval; one number where only one rank is possible."""
    return str(low) if low == high else f"{low} to {high}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as a sentence lists them, the first few of many."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def counted(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
