"""Read JSON: one object per line (.jsonl), or a list of objects (.json).

Reading is strict, so that nothing is lost silently.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preceptor.records import opening as bounds
from preceptor.records.opening import (
    BOM,
    MEGABYTE,
    Binary,
    Placed,
    RecordsError,
    Row,
    beginning,
    not_utf8,
    open_binary,
    refuse_kind,
    sized,
    too_large,
)

LARGEST_DOCUMENT = 1024 * MEGABYTE  # bytes of an unpacked .json, whose text is read at once
BLANKS = re.compile(r"[ \t\n\r]*")


class RepeatedKeyError(ValueError):
    """An object with a repeated key. A normal reader would silently drop one of the values."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKeyError(f"the key {key!r} appears twice in one object")
            seen.add(key)
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_pairs)


def _row_of(text: str) -> Row | str:
    """The JSON object in a text, or why there is none."""
    try:
        value = DECODER.decode(text)
    except RepeatedKeyError as error:
        return str(error)
    except json.JSONDecodeError as error:
        return "two JSON values on one line; write each on its own line" if _more(error) else _broken(error)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return _object(value)


def _object(value: Any) -> Row | str:
    """A value as a row, or why it is not one."""
    if isinstance(value, dict):
        return value
    such = """, such as {"instruction": "…"}""" if isinstance(value, str) else ""
    return f"a JSON {type(value).__name__} instead of an object{such}"


def _more(error: json.JSONDecodeError) -> bool:
    return error.msg == "Extra data" and error.doc[error.pos : error.pos + 1] in ("{", "[")


def _broken(error: json.JSONDecodeError) -> str:
    zero = "; it contains a NUL byte" if "\0" in error.doc else ""
    return f"not JSON: {error.msg} at character {error.pos + 1}{zero}"


def jsonl_rows(path: Path) -> Iterator[Placed]:
    """Yield a row per non-blank line. Raises RecordsError for another kind of file."""
    _refuse_document(path)
    with open_binary(path) as file:
        for number, line in enumerate(_lines(file), 1):
            place = f"{path.name}:{number}"
            if line is None:
                yield place, too_large("a line")
            elif line.strip():
                yield place, _line_row(line.removeprefix(BOM) if number == 1 else line)


def _line_row(line: bytes) -> Row | str:
    try:
        return _row_of(line.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        return not_utf8(error)


def _refuse_document(path: Path) -> None:
    """Raise RecordsError if the first line begins a list, or an object that spans several lines."""
    first = beginning(path).lstrip()
    line, ends, _ = first.partition(b"\n")
    line = line.strip()
    if line in (b"[", b"[{") or (line.startswith(b"[") and line[1:].lstrip().startswith(b"{")):
        raise RecordsError(f"{path}: contains a JSON list, not one object per line; rename it to .json")
    if line == b"{" and ends:
        raise RecordsError(
            f"{path}: its JSON objects span several lines; write one object per line (jq -c .), or a list of"
            " objects as .json"
        )


def _lines(file: Binary) -> Iterator[bytes | None]:
    """The file's lines; None for a line that is too long, which is never in memory as a whole.

    A binary file's lines end only at b"\\n". Text mode would also break at U+2028 inside strings.
    """
    while line := file.readline(bounds.LARGEST_ROW + 1):
        if len(line) <= bounds.LARGEST_ROW:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MEGABYTE)
        yield None


def json_rows(path: Path) -> Iterator[Placed]:
    """Yield a row per member of the list. Raises RecordsError if the document is not a list."""
    text = _text(path)
    if not text.startswith("[", _behind_blanks(text, 0)):
        raise RecordsError(f"{path}: {_instead_of_a_list(text)}")
    for number, value in enumerate(_elements(text)):
        row = str(value) if isinstance(value, RepeatedKeyError) else _object(value)
        yield f"{path.name}[{number}]", row if isinstance(row, str) else sized(row)


def _text(path: Path) -> str:
    with open_binary(path) as file:
        document = file.read(LARGEST_DOCUMENT + 1)
    if len(document) > LARGEST_DOCUMENT:
        raise RecordsError(
            f"{path}: a .json file of more than {LARGEST_DOCUMENT // MEGABYTE} MiB (unpacked) is not"
            " supported, because it must fit in memory. Write one object per line, as .jsonl"
        )
    encoding = json.detect_encoding(document)  # UTF-8, UTF-16 or UTF-32, seen from the first characters
    if encoding.startswith("utf-8"):
        refuse_kind(path, document[:4096])
    try:
        return document.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        line = document.count(b"\n", 0, error.start) + 1
        raise RecordsError(f"{path}:{line}: {not_utf8(error)}") from error


def _instead_of_a_list(text: str) -> str:
    value, end = DECODER.raw_decode(text, _behind_blanks(text, 0))  # raises for damaged JSON
    if text.startswith(("{", "["), _behind_blanks(text, end)):
        return (
            "contains several JSON values, not one list; if it has one object per line, rename it to .jsonl"
        )
    json.loads(text)
    lists = [key for key, item in value.items() if isinstance(item, list)] if isinstance(value, dict) else []
    inside = f" (the rows may be in {', '.join(map(repr, lists[:3]))}; write only that list)" if lists else ""
    return f"a .json file must contain a list of objects; one object per line is .jsonl{inside}"


def _elements(text: str) -> Iterator[Any]:
    """The members of a JSON list, one at a time, because all objects take many times the text's memory."""
    position = _behind_blanks(text, _behind_blanks(text, 0) + 1)
    separator = ","
    if text[position : position + 1] == "]":
        separator, position = "]", position + 1
    while separator == ",":
        element, position = _element(text, _behind_blanks(text, position))
        yield element
        position = _behind_blanks(text, position)
        separator = text[position : position + 1]
        position += 1
    if separator != "]" or _behind_blanks(text, position) != len(text):
        raise json.JSONDecodeError("',' or the list's end expected", text, position - 1)


def _element(text: str, position: int) -> tuple[Any, int]:
    """A member and its end. For a member with a repeated key, the error takes the member's place."""
    try:
        return DECODER.raw_decode(text, position)
    except RepeatedKeyError as error:
        return error, json.JSONDecoder().raw_decode(text, position)[1]


def _behind_blanks(text: str, position: int) -> int:
    blanks = BLANKS.match(text, position)
    return position if blanks is None else blanks.end()
