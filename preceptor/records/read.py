"""The single entry point for reading files: picks the reader by the file's name."""

import csv
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from preceptor.fingerprint import file_identity
from preceptor.paths import path_problem
from preceptor.records.arrow import dataset_rows, parquet_rows, saved_dataset_rows
from preceptor.records.csv_files import csv_rows
from preceptor.records.json_files import json_rows, jsonl_rows
from preceptor.records.opening import Placed, RecordsError
from preceptor.study.fields import Records

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
OTHERS = {
    (".xlsx", ".xls", ".ods", ".numbers"): "is a spreadsheet; save the sheet as CSV in UTF-8",
    (".txt", ".text", ".md"): (
        "is not a table; if each line is a row, add a header line with the column's name (instruction) and"
        " rename the file to .tsv"
    ),
}
CUT = "the file ends too early: writing or copying it was interrupted; download it again"


def read_records(records: Records) -> Iterator[Placed]:
    """Yield (place, row). A row that cannot be parsed is replaced by the reason.

    Raises RecordsError for an unknown format, a damaged file, or a path that is not a regular file.
    """
    try:
        yield from islice(_rows(records), records.limit)
    except RecordsError:
        raise
    except EOFError as error:
        raise RecordsError(f"{records.origin}: cannot be read: {CUT} ({error})") from error
    except (OSError, zlib.error, RecursionError, csv.Error, ValueError, OverflowError) as error:
        raise RecordsError(f"{records.origin}: cannot be read: {error}") from error


def records_identity(records: Records) -> dict[str, Any]:
    """What determines the rows: the file's hash, or the dataset's id and revision; and the limit."""
    origin = file_identity(records.path) if records.path else records.dataset
    return {"origin": origin, **records.model_dump(include={"subset", "split", "revision", "limit"})}


def _rows(records: Records) -> Iterator[Placed]:
    if records.path is None:
        return dataset_rows(records)
    path = Path(records.path)
    if (problem := path_problem(path)) is not None:
        raise RecordsError(f"{path}: {problem}")
    if path.is_dir():
        return saved_dataset_rows(path, records.split)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".parquet" and path.suffix == ".gz":
        raise RecordsError(f"{path}: a .parquet file is already compressed inside; unpack it with gunzip")
    if suffix in (".jsonl", ".ndjson"):
        return jsonl_rows(path)
    if suffix == ".json":
        return json_rows(path)
    if suffix in (".csv", ".tsv"):
        return csv_rows(path, "\t" if suffix == ".tsv" else ",")
    if suffix == ".parquet":
        return parquet_rows(path)
    for others, sentence in OTHERS.items():
        if suffix in others:
            raise RecordsError(f"{path}: {sentence}")
    raise RecordsError(
        f"{path}: must be a folder, or a file whose name ends in {', '.join(SUFFIXES)} (.gz may follow)"
    )
