"""A benchmark's file read so that every row of it is one item: a benchmark never shrinks silently."""

from collections.abc import Callable
from typing import TypeVar

from preceptor.records import Row, read_records
from preceptor.records.layout import RecordError
from preceptor.study.fields import Records

Read = TypeVar("Read")


class BenchmarkError(ValueError):
    """A benchmark's file that cannot be used; its text says which row and what to mend."""


def read_whole(
    records: Records, subject: str, parse: Callable[[Row], Read], named: Callable[[Read], tuple[str, str]]
) -> list[Read]:
    """All rows as `parse` makes them, in the file's order; `named` is (what makes one unique, in words).

    Raises BenchmarkError for a row that `parse` refuses by RecordError, one that repeats an earlier one, or a
    file without rows; RecordsError for a damaged file.
    """
    places: dict[str, str] = {}
    found = []
    for place, row in read_records(records):
        try:
            if isinstance(row, str):
                raise RecordError(row)
            item = parse(row)
            identity, words = named(item)
            if identity in places:
                raise RecordError(f"repeats {words} of {places[identity]}: leave one of them out")
        except RecordError as error:
            raise BenchmarkError(f"{subject}, {records.origin}, {place}: {error}") from error
        places[identity] = place
        found.append(item)
    if not found:
        raise BenchmarkError(f"{subject}: {records.origin} has no rows")
    return found
