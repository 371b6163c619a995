"""The columns of a row by role: those of its format, and those that the study names or ignores."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from preceptor.records.missing_column import missing_column
from preceptor.records.opening import Row
from preceptor.study.conversations import ROLES, Columns, Conversations, Names, Role
from preceptor.text import repair

# Columns of a format's public files besides the conversation.
KNOWN: dict[str, frozenset[str]] = {
    "plain": frozenset(),
    "alpaca": frozenset({"instances"}),  # read by formats.py
    "alpaca_eval": frozenset({"dataset", "datasplit", "generator"}),
    "fastchat": frozenset(
        {
            "answer_id",
            "category",
            "choices",
            "cluster",
            "conv_metadata",
            "language",
            "messages",
            "metadata",
            "model",
            "model_id",
            "reference",
            "required_temperature",
            "subcategory",
            "tstamp",
        }
    ),
    "messages": frozenset(),
    "sharegpt": frozenset(),
}

OWN = Columns()


class RecordError(ValueError):
    """A record without a usable conversation. Rows are counted by the message."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The source's id, and the turns of each side."""

    id: str | None
    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A format with the columns of each role. `more` are columns that other code reads."""

    format: str
    names: dict[Role, Names]
    named: frozenset[str] = frozenset()  # named by the study; each must appear in some row
    ignored: frozenset[str] = frozenset()
    more: frozenset[str] = frozenset()
    read: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        columns = {name for names in self.names.values() for name in names}
        object.__setattr__(self, "read", columns | KNOWN[self.format] | self.ignored | self.more)

    def column(self, row: Row, role: Role) -> str:
        """The column of a role in this row. Raises RecordError if the row has none."""
        names = self.names[role]
        for name in names:
            if name in row:
                return name
        wanted = names[-1] if names else ROLES[self.format][role][-1]
        raise RecordError(missing_column(wanted, role, row, self.format, self.given()))

    def given(self) -> dict[Role, str]:
        """The columns whose names in the study differ from the format's, by role."""
        own = ROLES[self.format]
        return {r: names[0] for r, names in self.names.items() if self.named & {*names} - {*own[r]}}

    def value(self, row: Row, role: Role) -> Any:
        """The row's value of an optional role; None if it has none."""
        for name in self.names.get(role, ()):  # a plain loop, because a generator is slower here
            if name in row:
                return row[name]
        return None

    def unread(self, row: Row) -> Iterator[str]:
        """The row's columns that nothing reads."""
        return (column for column in row if column not in self.read)


def layout(
    format: str, columns: Columns = OWN, ignore: Iterable[str] = (), more: Iterable[str | None] = ()
) -> Layout:
    """The layout of a format, with the study's own names for some columns.

    A column that has another role or is ignored is not read for the role that its name suggests.
    """
    given, ignored = columns.given(), frozenset(ignore)
    taken = ignored | {*given.values()}
    names: dict[Role, Names] = {
        role: (given[role],) if role in given else tuple(name for name in own if name not in taken)
        for role, own in ROLES[format].items()
    }
    others = frozenset(name for name in more if name is not None)
    return Layout(format, names, frozenset(given.values()), ignored, others)


def layout_of(records: Conversations, more: Iterable[str | None] = ()) -> Layout:
    """The layout of a source, a recording or a benchmark file."""
    return layout(records.format, records.columns, records.ignore, more)


def text_of(value: Any, column: str) -> str:
    """A cell's text. Raises RecordError for anything else."""
    if value is None:
        raise RecordError(f"column {column!r} is null")
    if isinstance(value, float) and math.isnan(value):
        raise RecordError(f"column {column!r} contains NaN, not text; write null for an empty cell")
    if not isinstance(value, str):
        raise RecordError(f"column {column!r} contains a {type(value).__name__}, not text")
    return repair(value)
