"""JSON lines: one object a line."""

from collections.abc import Iterator
from pathlib import Path

from preceptor.records import row as bounds
from preceptor.records.json_text import row_of
from preceptor.records.opening import BOM, Binary, beginning, not_utf8, open_binary
from preceptor.records.row import MEGABYTE, Placed, RecordsError, Row, too_large


def jsonl_rows(path: Path) -> Iterator[Placed]:
    """A row per line that is not blank. Raises RecordsError where the file is another kind of file."""
    _refuse_document(path)
    with open_binary(path) as file:
        for number, line in enumerate(_lines(file), 1):
            place = f"{path.name}:{number}"
            if line is None:
                yield place, too_large("a line")
            elif line.strip():
                yield place, _row(line.removeprefix(BOM) if number == 1 else line)


def _row(line: bytes) -> Row | str:
    try:
        return row_of(line.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        return not_utf8(error)


def _refuse_document(path: Path) -> None:
    """Raise RecordsError where the first line shows a list, or an object over several lines."""
    first = beginning(path).lstrip()
    line, ends, _ = first.partition(b"\n")
    line = line.strip()
    if line in (b"[", b"[{") or (line.startswith(b"[") and line[1:].lstrip().startswith(b"{")):
        raise RecordsError(f"{path}: holds a JSON list, not one object a line: name it .json")
    if line == b"{" and ends:
        raise RecordsError(
            f"{path}: its JSON objects span several lines: write one object a line (jq -c .), or a list of"
            " them as .json"
        )


def _lines(file: Binary) -> Iterator[bytes | None]:
    """The file's lines; None for one that is too long, of which no more than a bounded part is ever held.

    A binary file's lines end at b"\\n" only; text mode would also break at U+2028 inside strings.
    """
    while line := file.readline(bounds.LARGEST_ROW + 1):
        if len(line) <= bounds.LARGEST_ROW:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MEGABYTE)
        yield None
