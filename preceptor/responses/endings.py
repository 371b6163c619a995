"""How a recorded response ended, where its recording says so in `finish_reason` or `stop_reason`."""

from typing import Any

from preceptor.endpoint.completion import BROKEN, CUT, WITHHELD
from preceptor.records import Row

COLUMNS = ("finish_reason", "stop_reason")
NO_END = (*WITHHELD, *BROKEN, "refusal")  # of these no whole response came


def ending_of(record: Row) -> str | None:
    """`stop`, `length` where a turn was cut, or the word of a turn that did not come whole; None if unsaid.

    Words are read as an endpoint's are. A chat may have one for each turn, in a list or in its choice.
    """
    told = [word for cell in _cells(record) for word in _words(cell)]
    unusable = next((word for word in told if word in NO_END), None)
    if unusable is not None:
        return unusable
    if any(word in CUT for word in told):
        return "length"
    return "stop" if told else None


def fault_of(ending: str | None) -> str | None:
    """Why a response that ended so cannot be used; None where it can."""
    if ending not in NO_END:
        return None
    return f"the recording says that the response did not come whole ({ending!r})"


def _cells(record: Row) -> list[Any]:
    choices = record.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    places = [record, first] if isinstance(first, dict) else [record]
    return [place[column] for place in places for column in COLUMNS if column in place]


def _words(cell: Any) -> list[str]:
    """The reasons in a cell without the enumeration that some libraries write before them."""
    cells = cell if isinstance(cell, list) else [cell]
    return [
        word.strip().lower().rpartition(".")[2] for word in cells if isinstance(word, str) and word.strip()
    ]
