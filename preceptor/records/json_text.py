"""One JSON value, read strictly enough that nothing in it is lost without a word."""

import json
from typing import Any

from preceptor.records.row import Row


class RepeatedKeyError(ValueError):
    """An object with two values under one key, of which a reader would silently drop one."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKeyError(f"the key {key!r} stands twice in one object")
            seen.add(key)
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_pairs)


def row_of(text: str) -> Row | str:
    """The object that a text holds, or why it holds none."""
    try:
        value = DECODER.decode(text)
    except RepeatedKeyError as error:
        return str(error)
    except json.JSONDecodeError as error:
        return (
            "two JSON values on one line: write each on a line of its own" if _more(error) else _broken(error)
        )
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return row_or_reason(value)


def row_or_reason(value: Any) -> Row | str:
    """A value as a row, or why it is none."""
    if isinstance(value, dict):
        return value
    such = """, such as {"instruction": "…"}""" if isinstance(value, str) else ""
    return f"a JSON {type(value).__name__} where an object is expected{such}"


def _more(error: json.JSONDecodeError) -> bool:
    return error.msg == "Extra data" and error.doc[error.pos : error.pos + 1] in ("{", "[")


def _broken(error: json.JSONDecodeError) -> str:
    zero = "; it holds a NUL byte" if "\0" in error.doc else ""
    return f"not JSON: {error.msg} at character {error.pos + 1}{zero}"
