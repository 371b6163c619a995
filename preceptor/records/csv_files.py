"""Read CSV and TSV files: a header, and rows with as many fields.

A .csv file whose header has semicolons and no comma is separated by semicolons. Spreadsheets write this where
the comma is the decimal separator.
"""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from preceptor.records import opening as bounds
from preceptor.records.opening import (
    Binary,
    Placed,
    RecordsError,
    Row,
    beginning,
    not_utf8,
    open_binary,
    refuse_repeated,
    too_large,
)

QUOTES = (
    "put quotes around fields that contain quotes, separators or line ends, and double the quotes inside: He"
    ' said "hi" is written "He said ""hi"""'
)


def csv_rows(path: Path, delimiter: str) -> Iterator[Placed]:
    """Yield a row per record. Raises RecordsError, with file and line, if the file is malformed."""
    csv.field_size_limit(sys.maxsize)  # _Lines limits the size of rows
    delimiter = _delimiter(beginning(path), delimiter)
    with open_binary(path) as raw:
        lines = _Lines(path, raw)
        records = _records(lines, csv.reader(lines, delimiter=delimiter, strict=True))
        header = next(records, [])
        _refuse_header(path, header, delimiter)
        for fields in records:
            if fields:
                yield f"{path.name}:{lines.number}", _row(header, fields)


def _delimiter(first: bytes, usual: str) -> str:
    """The separator of fields, guessed from the file's first bytes."""
    header = first.partition(b"\n")[0]
    return ";" if usual == "," and b";" in header and b"," not in header else usual


class _Lines:
    """The lines of a CSV file. A quoted field may span several lines, so the limit is on the whole row."""

    def __init__(self, path: Path, raw: Binary) -> None:
        self.path = path
        self.text = io.TextIOWrapper(raw, "utf-8-sig", newline="")
        self.number = 0
        self.taken = 0
        self.first = 1  # the line on which the current row began

    def begin(self) -> None:
        """Start a new row with the next line."""
        self.taken, self.first = 0, self.number + 1

    def __iter__(self) -> Iterator[str]:
        while line := self._line():
            self.number += 1
            self.taken += len(line)
            if self.taken > bounds.LARGEST_ROW:
                raise RecordsError(
                    f"{self.path}:{self.number}: {too_large('a row')}. Its end is unknown, so the rows after"
                    " it cannot be read either"
                )
            if "\0" in line:
                raise RecordsError(
                    f"{self.path}:{self.number}: contains a NUL byte; the file is damaged or not UTF-8 text"
                )
            yield line

    def _line(self) -> str:
        try:
            return self.text.readline(bounds.LARGEST_ROW + 1)
        except UnicodeDecodeError as error:
            raise RecordsError(_first_bad_line(self.path, error)) from error


def _records(lines: _Lines, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            spot = f"{lines.path}:{lines.first}"
            until = f" to {lines.number}" if lines.number > lines.first else ""
            raise RecordsError(f"{spot}: the row on line {lines.first}{until}: {error}; {QUOTES}") from error
        yield fields


def _row(header: list[str], fields: list[str]) -> Row | str:
    if len(fields) != len(header):
        than = "more" if len(fields) > len(header) else "fewer"
        return f"{than} fields than the header"
    return dict(zip(header, fields, strict=True))


def _refuse_header(path: Path, header: list[str], delimiter: str) -> None:
    refuse_repeated(f"{path}:1: the header", header)
    other = [mark for mark in (";", "\t", "|", ",") if mark != delimiter and mark in "".join(header)]
    if len(header) == 1 and other:
        cure = {"\t": "rename the file to .tsv", ",": "rename the file to .csv"}.get(
            other[0], "save it with commas"
        )
        raise RecordsError(
            f"{path}:1: the header is one column, {header[0]!r}; fields are separated by {delimiter!r} in"
            f" {path.suffix} files, not by {other[0]!r}; {cure}"
        )


def _first_bad_line(path: Path, error: UnicodeDecodeError) -> str:
    """The message for the first line that is not UTF-8. The decoder's own position is ahead of the lines."""
    with open_binary(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(bounds.LARGEST_ROW), b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as bad:
                return f"{path}:{number}: {not_utf8(bad)}"
    return f"{path}: {not_utf8(error)}"
