"""A JSON document that is a list of objects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preceptor.records.json_text import DECODER, RepeatedKeyError, row_or_reason
from preceptor.records.opening import not_utf8, open_binary, refuse_kind
from preceptor.records.row import MEGABYTE, Placed, RecordsError, sized

LARGEST_DOCUMENT = 1024 * MEGABYTE  # bytes of a .json, unpacked: its text is read all at once
BLANKS = re.compile(r"[ \t\n\r]*")


def json_rows(path: Path) -> Iterator[Placed]:
    """A row per member of the list. Raises RecordsError where the document is none."""
    text = _text(path)
    if not text.startswith("[", _behind_blanks(text, 0)):
        raise RecordsError(f"{path}: {_instead_of_a_list(text)}")
    for number, value in enumerate(_elements(text)):
        row = str(value) if isinstance(value, RepeatedKeyError) else row_or_reason(value)
        yield f"{path.name}[{number}]", row if isinstance(row, str) else sized(row)


def _text(path: Path) -> str:
    with open_binary(path) as file:
        document = file.read(LARGEST_DOCUMENT + 1)
    if len(document) > LARGEST_DOCUMENT:
        raise RecordsError(
            f"{path}: a .json file of more than {LARGEST_DOCUMENT // MEGABYTE} MiB (unpacked) is not read:"
            " all of it would have to be in memory. Write one object a line, as .jsonl"
        )
    encoding = json.detect_encoding(document)  # JSON's first characters tell UTF-8, UTF-16 and UTF-32 apart
    if encoding.startswith("utf-8"):
        refuse_kind(path, document[:4096])
    try:
        return document.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        line = document.count(b"\n", 0, error.start) + 1
        raise RecordsError(f"{path}:{line}: {not_utf8(error)}") from error


def _instead_of_a_list(text: str) -> str:
    value, end = DECODER.raw_decode(text, _behind_blanks(text, 0))  # damage has an error of its own
    if text.startswith(("{", "["), _behind_blanks(text, end)):
        return "holds several JSON values, not one list of objects: one object a line is named .jsonl"
    json.loads(text)
    lists = [key for key, item in value.items() if isinstance(item, list)] if isinstance(value, dict) else []
    inside = (
        f" (its rows may be in {', '.join(map(repr, lists[:3]))}: write that list alone)" if lists else ""
    )
    return f"a .json file must hold a list of objects; one object a line is .jsonl{inside}"


def _elements(text: str) -> Iterator[Any]:
    """The members of a JSON list, one at a time: all of them as objects would take many times the text."""
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
    """A member and where it ends; one that repeats a key is the error that says so."""
    try:
        return DECODER.raw_decode(text, position)
    except RepeatedKeyError as error:
        return error, json.JSONDecoder().raw_decode(text, position)[1]


def _behind_blanks(text: str, position: int) -> int:
    blanks = BLANKS.match(text, position)
    return position if blanks is None else blanks.end()
