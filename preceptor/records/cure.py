"""Suggest settings that read an unread column, or that ignore it on purpose."""

from collections.abc import Sequence

from preceptor.records.column_names import ANSWERS, EXPLANATIONS, last_word
from preceptor.records.layout import Layout
from preceptor.records.missing_column import ignoring, naming
from preceptor.study.conversations import ROLES, Role

ASKED = ("input", "system")
DIALOGUES = ("conversation", "conversations", "dialog", "dialogue", "messages", "turns")


def cure(column: str, layout: Layout, repeats: Sequence[str] = (), listed: bool = False) -> str:
    """The settings, in words.

    `repeats` are the columns whose text the column contains. `listed` means that it is a list or an object.
    A column that already contains an instruction or an answer is not suggested for any role: as an input it
    would reveal the answer and repeat the question.
    """
    leave = f"'{ignoring([*sorted(layout.ignored), column])}' ignores it"
    formats = _formats(column, layout)[:1]
    if repeats:
        instead = f"; {formats[0]} reads it instead" if formats and listed else ""
        return f"{leave}, because it repeats {' and '.join(map(repr, repeats))}{instead}"
    if column == "instances":
        return f"'format: alpaca' reads it, {leave}"
    roles = _roles(column, layout, listed)
    ways = [*formats, *roles]
    if listed and not ways:
        return f"{leave}; to use it, write it as text"
    shown = " as part of the prompt" if roles and _offered(column, listed)[0] in ASKED else ""
    return f"{' or '.join(ways)} reads it{shown}, {leave}" if ways else leave


def _formats(column: str, layout: Layout) -> list[str]:
    return [f"'format: {f}'" for f in ROLES if f != layout.format and column in _names(f)]


def _roles(column: str, layout: Layout, listed: bool) -> list[str]:
    offered = _offered(column, listed)
    free = [role for role in offered if role in layout.names and not layout.named & set(layout.names[role])]
    if "[]" in column or not free:
        return []
    others = f" (or {', '.join(free[1:])})" if free[1:] else ""
    return [f"'{naming({**layout.given(), free[0]: column})}'{others}"]


def _names(format: str) -> frozenset[str]:
    """The columns that a format reads, without `prompt`: that name is too common to identify a format."""
    return frozenset(name for names in ROLES[format].values() for name in names if name != "prompt")


def _offered(column: str, listed: bool) -> list[Role]:
    """The roles that a column may have, most likely first. An answer is never part of the question."""
    name = last_word(column)
    if name == "history" or (listed and name in DIALOGUES):
        return ["history"]
    if listed:
        return []
    if name in ANSWERS | EXPLANATIONS:
        return ["response"]
    if "system" in column.lower() or name in ("persona", "preamble"):
        return ["system", "input"]
    return ["input", "system"]
