"""How a recorded response ended, read from `finish_reason` or `stop_reason` of its recording."""

from typing import Any

from preceptor.endpoint.completion import BROKEN, CUT, WITHHELD
from preceptor.records import Row

COLUMNS = ("finish_reason", "stop_reason")
NO_END = (*WITHHELD, *BROKEN, "refusal")  # endings of incomplete responses


def ending_of(record: Row) -> str | None:
    """`stop`, `length` if a turn was cut, the ending of an incomplete turn, or None if it is not recorded.

    Endings are read like an endpoint's. A chat may have one for each turn, in a list or in its choice.
    """
    told = [word for cell in _cells(record) for word in _words(cell)]
    unusable = next((word for word in told if word in NO_END), None)
    if unusable is not None:
        return unusable
    if any(word in CUT for word in told):
        return "length"
    return "stop" if told else None


def fault_of(ending: str | None) -> str | None:
    """Why a response with this ending cannot be used; None if it can."""
    if ending not in NO_END:
        return None
    return f"the recording says that the response did not come whole ({ending!r})"


def _cells(record: Row) -> list[Any]:
    choices = record.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    places = [record, first] if isinstance(first, dict) else [record]
    return [place[column] for place in places for column in COLUMNS if column in place]


def _words(cell: Any) -> list[str]:
    """The endings in a cell, without the enum name that some libraries put in front."""
    cells = cell if isinstance(cell, list) else [cell]
    return [
        word.strip().lower().rpartition(".")[2] for word in cells if isinstance(word, str) and word.strip()
    ]
