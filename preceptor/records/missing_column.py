"""Suggest settings for a file whose columns have other names than its format's."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from preceptor.records.column_names import last_word
from preceptor.study.conversations import ROLES, Role

# Common names for the column of a role, most likely first.
USUAL: dict[Role, tuple[str, ...]] = {
    "instruction": (
        *("instruction", "instructions", "question", "questions", "prompt", "prompts", "query", "queries"),
        *("request", "task", "input", "text"),
    ),
    "response": (
        *("response", "responses", "answer", "answers", "completion", "completions", "output", "outputs"),
        *("reply", "generation", "text"),
    ),
}
SENTENCE = re.compile(r".{60}|.*[.?!]$|(\S+\s+){5}", re.DOTALL)  # such a column name is probably a row
PLAIN = re.compile(r"[^\W\d][\w-]*( [\w-]+)*")
WORDS = frozenset("true false null yes no on off y n".split())  # not text in YAML, for some readers
Settings = dict[Role, str]


def missing_column(
    wanted: str, role: Role, row: Mapping[str, Any], format: str, given: Mapping[Role, str]
) -> str:
    """The message for a missing column of a role, with the setting that names the right one."""
    there = f"no column {wanted!r} (there are {listed(row)})"
    ways = [_named({**given, role: "…", **_usual(row, role, format, given)})]
    other = _other_format(row, format)
    if other:  # more likely, unless a column has a common name of the role
        ways.insert(len(ways) if ways[0].startswith("write") else 0, other)
    if role == "messages":
        ways += _as_rows(row)
    return f"{there}: {', or '.join(ways)}{_no_header(row)}"


def listed(row: Mapping[str, Any]) -> str:
    """The names of a row's columns, for messages. Names with outer or no characters are quoted."""
    names = [str(name) for name in list(row)[:8]]
    shown = (name if name and name == name.strip() else repr(name) for name in names)
    return ", ".join(shown) + (" …" if len(row) > 8 else "")


def shortened(text: str, most: int = 60) -> str:
    """A text cut to a length that fits a message."""
    return text if len(text) <= most else text[:most] + "…"


def in_yaml(text: str) -> str:
    """A text as YAML inside a list or a mapping of a study."""
    plain = PLAIN.fullmatch(text) and text.lower() not in WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def ignoring(columns: Iterable[str]) -> str:
    """The setting that ignores columns."""
    return f"ignore: [{', '.join(map(in_yaml, columns))}]"


def naming(columns: Mapping[Role, str]) -> str:
    """The setting that names columns, in the usual order of roles."""
    order: list[Role] = ["instruction", "input", "system", "history", "response", "messages", "id"]
    inside = ", ".join(
        f"{role}: {columns[role] if columns[role] == '…' else in_yaml(columns[role])}"
        for role in order
        if role in columns
    )
    return f"columns: {{{inside}}}"


def _named(columns: Settings) -> str:
    known = "…" not in columns.values()
    return f"{'write' if known else 'name the right one as in'} '{naming(columns)}'"


def _usual(row: Mapping[str, Any], role: Role, format: str, given: Mapping[Role, str]) -> Settings:
    """Columns with common names of the role. For `response`, instruction and response are both searched."""
    own = ROLES[format]
    roles: list[Role] = ["instruction", "response"] if role == "response" else [role]
    found: Settings = {}
    for wanted in roles:
        there = any(name in row for name in ((given[wanted],) if wanted in given else own[wanted]))
        name = None if there else _called(row, wanted, {*given.values(), *found.values()})
        if name is not None:
            found[wanted] = name
    return found


def _called(row: Mapping[str, Any], role: Role, taken: set[str]) -> str | None:
    columns = {last_word(str(name)): str(name) for name in reversed(list(row)) if name not in taken}
    return next((columns[word] for word in USUAL.get(role, ()) if word in columns), None)


def _other_format(row: Mapping[str, Any], format: str) -> str:
    """The setting of another format that reads the row's chat, or an empty text."""
    for other, roles in ROLES.items():
        for name in roles.get("messages", ()):
            if other != format and name in row:
                return f"set 'format: {other}', which reads {name!r}"
    return ""


def _no_header(row: Mapping[str, Any]) -> str:
    """A hint if a column's name looks like a row of text: the file may have no header."""
    text = next((str(name) for name in row if SENTENCE.match(str(name))), None)
    if text is None:
        return ""
    return f". If {shortened(text)!r} is a row and not a column name, add a header line with the column names"


def _as_rows(row: Mapping[str, Any]) -> list[str]:
    """The setting for a file without a chat, with one column each for instruction and response."""
    found = _usual(row, "response", "plain", {})
    return [f"set 'format: plain' and '{naming(found)}'"] if "instruction" in found else []
