"""Rows of a file or dataset as dictionaries, each with its place, whatever the file's format."""

import csv
import gzip
import io
import json
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
    # A binary file's lines end at b"\n" only; text mode would also break at U+2028 inside strings.
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _parse(line, f"{path.name}:{number}")


def _json_rows(path: Path) -> Iterator[tuple[str, Row | str]]:
    with _open(path) as file:
        document = json.loads(file.read())
    if not isinstance(document, list):
        raise RecordsError(f"{path}: a .json file must hold a list of objects; one object a line is .jsonl")
    for number, row in enumerate(document):
        place = f"{path.name}[{number}]"
        yield (
            place,
            row if isinstance(row, dict) else f"a JSON {type(row).__name__} where an object is expected",
        )


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[str, Row | str]]:
    csv.field_size_limit(sys.maxsize)
    with _open(path) as raw:
        reader = csv.DictReader(
            io.TextIOWrapper(raw, "utf-8-sig", newline=""), delimiter=delimiter, strict=True
        )
        for row in reader:
            place = f"{path.name}:{reader.line_num}"
            yield place, "more fields than the header has" if None in row else row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row | str]]:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        rows = (row for batch in file.iter_batches(1024) for row in batch.to_pylist())
        yield from _numbered(rows, path.name)


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
        yield f"{name}[{number}]", row
