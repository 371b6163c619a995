"""How long to wait before asking again: what the endpoint says, else exponential backoff with full jitter."""

import math
import random
import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

FIRST_SECONDS = 1.0  # the longest wait after a row's first fault; it doubles with every further one
LONGEST_SECONDS = 60.0


def backoff(faults: int) -> float:
    """Seconds to wait after a row's n-th fault, uniform from zero: rows do not come back together."""
    return random.uniform(0, min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(faults - 1, 30)))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or a date) ask for; None where they do not."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return _until(value) if seconds is None else seconds


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(value: str | None) -> float | None:
    parsed = parsedate_tz(value or "")
    if parsed is None:
        return None
    try:
        return max(0.0, mktime_tz(parsed) - time.time())
    except (ValueError, OverflowError):
        return None
