"""What to write where a file's columns have other names than its format's own."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from preceptor.records.column_names import last_word
from preceptor.study.conversations import ROLES, Role

# How people name what a role holds, the likeliest first.
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
SENTENCE = re.compile(r".{60}|.*[.?!]$|(\S+\s+){5}", re.DOTALL)  # a column of such a name is a row of text
PLAIN = re.compile(r"[^\W\d][\w-]*( [\w-]+)*")
WORDS = frozenset("true false null yes no on off y n".split())  # YAML's, for other readers than ours
Settings = dict[Role, str]


def missing_column(
    wanted: str, role: Role, row: Mapping[str, Any], format: str, given: Mapping[Role, str]
) -> str:
    """Why a row lacks the column of a role, and the setting that names the right one."""
    there = f"no column {wanted!r} (there are {listed(row)})"
    ways = [_named({**given, role: "…", **_usual(row, role, format, given)})]
    other = _other_format(row, format)
    if other:  # the likelier, unless a column is called like what is asked for
        ways.insert(len(ways) if ways[0].startswith("write") else 0, other)
    if role == "messages":
        ways += _as_rows(row)
    return f"{there}: {', or '.join(ways)}{_no_header(row)}"


def listed(row: Mapping[str, Any]) -> str:
    """The names of a row's columns, for messages; what cannot be seen in one shows in quotes."""
    names = [str(name) for name in list(row)[:8]]
    shown = (name if name and name == name.strip() else repr(name) for name in names)
    return ", ".join(shown) + (" …" if len(row) > 8 else "")


def shortened(text: str, most: int = 60) -> str:
    """The beginning of a text that would fill the sentence."""
    return text if len(text) <= most else text[:most] + "…"


def in_yaml(text: str) -> str:
    """A text as a study's YAML takes it inside a list or a mapping."""
    plain = PLAIN.fullmatch(text) and text.lower() not in WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def ignoring(columns: Iterable[str]) -> str:
    """The setting that leaves columns out."""
    return f"ignore: [{', '.join(map(in_yaml, columns))}]"


def naming(columns: Mapping[Role, str]) -> str:
    """The setting that names columns, in the order in which the roles are said."""
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
    """The columns that are called as a role usually is; an answer's file lacks both or one of two."""
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
    """Which other format reads a chat that the row has."""
    for other, roles in ROLES.items():
        for name in roles.get("messages", ()):
            if other != format and name in row:
                return f"set 'format: {other}', which reads {name!r}"
    return ""


def _no_header(row: Mapping[str, Any]) -> str:
    """A column that is called like a row of text may be one: a list without a header."""
    text = next((str(name) for name in row if SENTENCE.match(str(name))), None)
    if text is None:
        return ""
    return f". If {shortened(text)!r} is a row and no name, put a line with the columns' names above it"


def _as_rows(row: Mapping[str, Any]) -> list[str]:
    """The setting for a file that holds no chat but a column each for what is asked and answered."""
    found = _usual(row, "response", "plain", {})
    return [f"set 'format: plain' and '{naming(found)}'"] if "instruction" in found else []
