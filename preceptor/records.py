"""Rows of a file or dataset as dictionaries, each with its place, whatever the file's format."""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

from preceptor.fingerprint import file_identity
from preceptor.study.fields import Records

Row = dict[str, Any]
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
MEGABYTE = 2**20
LARGEST_ROW = 16 * MEGABYTE  # bytes: some four million tokens
LARGEST_DOCUMENT = 1024 * MEGABYTE  # bytes of a .json, unpacked: its text is read all at once
WHITESPACE = re.compile(r"[ \t\n\r]*")
ROWS_AT_ONCE = 64
TEXT = "BYTE_ARRAY"


class RecordsError(ValueError):
    """A file that cannot be read at all, as opposed to one bad row in it."""


def read_records(records: Records) -> Iterator[tuple[str, Row | str]]:
    """Yield (place, row), where a row that cannot be parsed is the sentence that says why.

    Raises RecordsError for an unknown format or a damaged file.
    """
    try:
        yield from islice(_rows(records), records.limit)
    except (OSError, EOFError, zlib.error, RecursionError, csv.Error, ValueError) as error:
        if isinstance(error, RecordsError):
            raise
        raise RecordsError(f"{records.origin}: cannot be read: {error}") from error


def records_identity(records: Records) -> dict[str, Any]:
    """What would change the rows: the file's hash, or the dataset's id and revision; and the limit."""
    origin = file_identity(records.path) if records.path else records.dataset
    return {"origin": origin, **records.model_dump(include={"subset", "split", "revision", "limit"})}


def _rows(records: Records) -> Iterator[tuple[str, Row | str]]:
    if records.path is None:
        return _dataset_rows(records)
    path = Path(records.path)
    if path.is_dir():
        return _saved_dataset_rows(path, records.split)
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix in (".jsonl", ".ndjson"):
        return _jsonl_rows(path)
    if suffix == ".json":
        return _json_rows(path)
    if suffix in (".csv", ".tsv"):
        return _csv_rows(path, "\t" if suffix == ".tsv" else ",")
    if suffix == ".parquet":
        return _parquet_rows(path)
    raise RecordsError(f"{path}: its name must end in {', '.join(SUFFIXES)} (.gz may follow) or be a folder")


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _parse(text: bytes, place: str) -> tuple[str, Row | str]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return place, f"not JSON: {error}"
    return place, row if isinstance(row, dict) else f"a JSON {type(row).__name__} where an object is expected"


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Row | str]]:
    with _open(path) as file:
        for number, line in enumerate(_lines(file), 1):
            if line is None:
                yield f"{path.name}:{number}", _too_large("a line")
            elif line.strip():
                yield _parse(line, f"{path.name}:{number}")


def _lines(file: gzip.GzipFile | BufferedReader) -> Iterator[bytes | None]:
    """The file's lines; None for one that is too long, of which no more than a bounded part is ever held.

    A binary file's lines end at b"\\n" only; text mode would also break at U+2028 inside strings.
    """
    while line := file.readline(LARGEST_ROW + 1):
        if len(line) <= LARGEST_ROW:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MEGABYTE)
        yield None


def _too_large(what: str) -> str:
    return f"{what} of more than {LARGEST_ROW // MEGABYTE} MiB, the most that is read: split or shorten it"


def _json_rows(path: Path) -> Iterator[tuple[str, Row | str]]:
    with _open(path) as file:
        document = file.read(LARGEST_DOCUMENT + 1)
    if len(document) > LARGEST_DOCUMENT:
        raise RecordsError(
            f"{path}: a .json file of more than {LARGEST_DOCUMENT // MEGABYTE} MiB (unpacked) is not read:"
            " all of it would have to be in memory. Write one object a line, as .jsonl"
        )
    text = document.decode(json.detect_encoding(document), "surrogatepass")
    del document
    if not text.startswith("[", _behind_blanks(text, 0)):
        json.loads(text)  # damage has an error of its own
        raise RecordsError(f"{path}: a .json file must hold a list of objects; one object a line is .jsonl")
    for number, row in enumerate(_elements(text)):
        place = f"{path.name}[{number}]"
        if not isinstance(row, dict):
            yield place, f"a JSON {type(row).__name__} where an object is expected"
        else:
            yield place, _sized(row)


def _elements(text: str) -> Iterator[Any]:
    """The members of a JSON list, one at a time: all of them as objects would take many times the text."""
    position = _behind_blanks(text, _behind_blanks(text, 0) + 1)
    if text[position : position + 1] == "]":
        return
    decoder, separator = json.JSONDecoder(), ","
    while separator == ",":
        element, position = decoder.raw_decode(text, _behind_blanks(text, position))
        yield element
        position = _behind_blanks(text, position)
        separator = text[position : position + 1]
        position += 1
    if separator != "]" or _behind_blanks(text, position) != len(text):
        raise json.JSONDecodeError("',' or the list's end expected", text, position - 1)


def _behind_blanks(text: str, position: int) -> int:
    blanks = WHITESPACE.match(text, position)
    return position if blanks is None else blanks.end()


def _sized(row: Row) -> Row | str:
    """The row, or why it is not read."""
    return _too_large("a row") if _characters(row) > LARGEST_ROW else row


def _characters(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(item) for pair in value.items() for item in pair)
    return sum(map(_characters, value)) if isinstance(value, list) else 1


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[str, Row | str]]:
    csv.field_size_limit(sys.maxsize)  # the lines have a limit of their own
    with _open(path) as raw:
        lines = _CsvLines(path, io.TextIOWrapper(raw, "utf-8-sig", newline=""))
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
        for row in reader:
            place = f"{path.name}:{reader.line_num}"
            yield place, "more fields than the header has" if None in row else row
            lines.taken = 0


class _CsvLines:
    """A CSV file's lines; a quoted field may hold several, so the bound is on all that a row took."""

    def __init__(self, path: Path, text: io.TextIOWrapper) -> None:
        self.path = path
        self.text = text
        self.number = 0
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        while line := self.text.readline(LARGEST_ROW + 1):
            self.number += 1
            self.taken += len(line)
            if self.taken > LARGEST_ROW:
                raise RecordsError(
                    f"{self.path}:{self.number}: {_too_large('a row')}. Where it ends cannot be told,"
                    " so the rows behind it are not read either"
                )
            yield line


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row | str]]:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as plain:
        texts = [
            c.path for c in map(plain.schema.column, range(len(plain.schema))) if c.physical_type == TEXT
        ]
    # Dictionaries stay what they are: a long text that a small file repeats is not unpacked for every row.
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        rows = (row for batch in file.iter_batches(ROWS_AT_ONCE) for row in _unpacked(batch))
        yield from _numbered(rows, path.name)


def _unpacked(batch: Any) -> Iterator[Row]:
    """A batch's rows; one at a time where all of them could be large."""
    if batch.nbytes <= MEGABYTE:
        yield from batch.to_pylist()
        return
    for number in range(batch.num_rows):
        yield from batch.slice(number, 1).to_pylist()


def _saved_dataset_rows(path: Path, split: str) -> Iterator[tuple[str, Row | str]]:
    from datasets import DatasetDict, load_from_disk

    dataset = load_from_disk(str(path))
    if isinstance(dataset, DatasetDict):
        if split not in dataset:
            raise RecordsError(f"{path}: has no split {split!r}, but {', '.join(dataset)}")
        dataset = dataset[split]
    yield from _numbered(dataset, path.name)


def _dataset_rows(records: Records) -> Iterator[tuple[str, Row | str]]:
    from datasets import load_dataset

    dataset = load_dataset(records.dataset, records.subset, split=records.split, revision=records.revision)
    yield from _numbered(dataset, str(records.dataset))


def _numbered(rows: Iterable[Row], name: str) -> Iterator[tuple[str, Row | str]]:
    for number, row in enumerate(rows):
        yield f"{name}[{number}]", _sized(row)
