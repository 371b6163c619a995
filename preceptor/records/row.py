"""What a reader gives for each row, and how large one may be."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

Row = dict[str, Any]
Placed = tuple[str, Row | str]  # a place, and its row or the sentence that says why there is none
MEGABYTE = 2**20
LARGEST_ROW = 16 * MEGABYTE  # bytes: some four million tokens


class RecordsError(ValueError):
    """A file that cannot be read at all, as opposed to one bad row in it."""


def too_large(what: str) -> str:
    """Why a row or line of more than LARGEST_ROW is not read."""
    return f"{what} of more than {LARGEST_ROW // MEGABYTE} MiB, the most that is read: split or shorten it"


def sized(row: Row) -> Row | str:
    """The row, or why it is not read."""
    return too_large("a row") if _characters(row) > LARGEST_ROW else row


def numbered(rows: Iterable[Row], name: str) -> Iterator[Placed]:
    """Rows with their index as place."""
    for number, row in enumerate(rows):
        yield f"{name}[{number}]", sized(row)


def refuse_repeated(place: str, columns: Iterable[str]) -> None:
    """Raise RecordsError where two columns have one name: a row could hold one of them only."""
    repeated = [name for name, times in Counter(columns).items() if name and times > 1]
    if repeated:
        raise RecordsError(f"{place} names the column {repeated[0]!r} twice: rename one of them")


def _characters(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(item) for pair in value.items() for item in pair)
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 1
