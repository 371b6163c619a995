"""Writes a statement's rows as a table, CSV or JSON."""

import csv
import json
import math
from typing import Any, Literal, TextIO

from preceptor.shell.session import Session

Format = Literal["table", "csv", "json"]


def write_result(session: Session, statement: Any, form: Format, out: TextIO, width: int | None) -> None:
    """Run a statement and write its rows as a drawn table, as CSV, or as one JSON list.

    CSV and JSON contain every row. A table shows as many as fit. Raises SqlError.
    """
    if form == "table":
        drawn = session.box(statement, width)
        out.write(f"{drawn}\n" if drawn else "")
        return
    names, rows = session.stream(statement)
    if form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in rows)
        return
    out.write("[")
    for number, row in enumerate(rows):
        record = dict(zip(names, map(_plain, row), strict=True))
        out.write(f"{',' * bool(number)}\n{json.dumps(record, ensure_ascii=False, default=str)}")
    out.write("\n]\n")


def _cell(value: Any) -> Any:
    """A value for CSV. Lists and dicts become JSON, since CSV has none."""
    nested = isinstance(value, list | dict)
    return json.dumps(_plain(value), ensure_ascii=False, default=str) if nested else value


def _plain(value: Any) -> Any:
    """A value for JSON. NaN and infinity become null, as in DuckDB's JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
