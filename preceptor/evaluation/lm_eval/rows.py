"""Reads a benchmark's rows from local files, without downloads."""

import json
import zlib
from glob import escape
from pathlib import Path
from typing import Any

from preceptor.evaluation.lm_eval.presets import Preset, Task
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.records import RecordsError, Row, read_records
from preceptor.records.opening import open_binary
from preceptor.study.fields import Records

ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz", ".parquet", "-*.parquet")


def split_files(preset: Preset, task: Task, data: Path) -> dict[str, tuple[Path, ...]]:
    """The files of each split: one file, or the numbered parquet parts of a hub's dataset.

    `data` is a folder, or the file of a benchmark with one split and one task.
    Raises BenchmarkError for missing or ambiguous files.
    """
    if data.is_file():
        if len(preset.splits) > 1 or len(preset.tasks) > 1:
            raise BenchmarkError(
                f"benchmark {preset.name!r}: {data} is one file, but {len(preset.tasks)} tasks with the"
                f" splits {', '.join(preset.splits)} are needed: give the folder with their files"
            )
        return {preset.splits[0]: (data,)}
    return {split: _files(preset, task, split, data) for split in preset.splits}


def read_rows(preset: Preset, files: tuple[Path, ...]) -> list[Row]:
    """All rows of some files. Raises BenchmarkError with the file and the unusable row."""
    rows = []
    for path in files:
        for place, row in _places(preset, path):
            problem = row if isinstance(row, str) else _empty_column(preset, row)
            if isinstance(row, str) or problem is not None:
                raise BenchmarkError(f"benchmark {preset.name!r}, {path}, {place}: {problem}")
            rows.append(row)
    if not rows:
        raise BenchmarkError(f"benchmark {preset.name!r}: {', '.join(map(str, files))} has no rows")
    return rows


def _files(preset: Preset, task: Task, split: str, data: Path) -> tuple[Path, ...]:
    stems = [f"{task.rows}/{split}", f"data/{split}", split]
    if len(preset.splits) == 1:
        stems.append(task.rows)
    for stem in stems:
        found = [path for ending in ENDINGS for path in _matching(data, stem, ending)]
        parts = all(path.match("*-*-of-*.parquet") for path in found)
        if len(found) > 1 and not parts:
            names = ", ".join(path.name for path in found)
            raise BenchmarkError(
                f"benchmark {preset.name!r}: {data} has several files for {stem} ({names}): keep one"
            )
        if found:
            return tuple(found)
    wanted = " or ".join(f"{stem}.jsonl" for stem in stems)
    raise BenchmarkError(
        f"benchmark {preset.name!r}, task {task.name!r}: {data} has no file for the split {split!r}: put"
        f" {wanted} there (.json, .csv, .parquet, .gz and a hub's -00000-of-00001.parquet work too)"
    )


def _matching(data: Path, stem: str, ending: str) -> list[Path]:
    return sorted(data.glob(escape(stem) + ending))


def _places(preset: Preset, path: Path) -> list[tuple[str, Row | str]]:
    try:
        if preset.field is not None and path.name.removesuffix(".gz").endswith(".json"):
            return _field_rows(path, preset.field)
        return list(read_records(Records(path=str(path))))
    except (RecordsError, OSError, EOFError, zlib.error, ValueError) as error:
        raise BenchmarkError(f"benchmark {preset.name!r}, {path}: cannot be read: {error}") from error


def _field_rows(path: Path, field: str) -> list[tuple[str, Row | str]]:
    with open_binary(path) as file:
        content = file.read()
    document: Any = json.loads(content)
    rows = document.get(field) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise RecordsError(f"must be a JSON object whose field {field!r} is a list of rows")
    kinds = [row if isinstance(row, dict) else f"a JSON {type(row).__name__} is not a row" for row in rows]
    return [(f"{path.name}[{number}]", row) for number, row in enumerate(kinds)]


def _empty_column(preset: Preset, row: Row) -> str | None:
    for column in preset.columns:
        if row.get(column) is None or row[column] == "":
            return f"column {column!r} is missing or empty (the row has {', '.join(map(str, row))}): fill it"
    return None
