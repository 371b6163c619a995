"""Reads a benchmark's file. An unusable row is an error, so that no row is dropped silently."""

from collections.abc import Callable
from typing import TypeVar

from preceptor.records import Row, read_records
from preceptor.records.layout import RecordError
from preceptor.study.fields import Records

Read = TypeVar("Read")


class BenchmarkError(ValueError):
    """A benchmark's file cannot be used. The message names the row and the remedy."""


def read_whole(
    records: Records, subject: str, parse: Callable[[Row], Read], named: Callable[[Read], tuple[str, str]]
) -> list[Read]:
    """Parse all rows, in the file's order. `named` gives a row's identity, and what to call it in an error.

    Raises BenchmarkError for a row for which `parse` raises RecordError, a repeated row, or a file without
    rows. Raises RecordsError for a damaged file.
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
                raise RecordError(f"repeats {words} of {places[identity]}: remove one of them")
        except RecordError as error:
            raise BenchmarkError(f"{subject}, {records.origin}, {place}: {error}") from error
        places[identity] = place
        found.append(item)
    if not found:
        raise BenchmarkError(f"{subject}: {records.origin} has no rows")
    return found
