"""What a row says, and in which columns: those of its format, those that the study names or ignores."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from preceptor.records.missing_column import missing_column
from preceptor.records.opening import Row
from preceptor.study.conversations import ROLES, Columns, Conversations, Names, Role
from preceptor.text import repair

# What the public files of a format carry beside the conversation.
KNOWN: dict[str, frozenset[str]] = {
    "plain": frozenset(),
    "alpaca": frozenset({"instances"}),  # read, see formats.py
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
    """A record that holds no usable conversation; its text is the reason that is counted."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The source's own id, and the turns of each side."""

    id: str | None
    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A format with the columns of each role; `more` are columns that somebody else reads."""

    format: str
    names: dict[Role, Names]
    named: frozenset[str] = frozenset()  # by the study, so that each must be in some row
    ignored: frozenset[str] = frozenset()
    more: frozenset[str] = frozenset()
    read: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        columns = {name for names in self.names.values() for name in names}
        object.__setattr__(self, "read", columns | KNOWN[self.format] | self.ignored | self.more)

    def column(self, row: Row, role: Role) -> str:
        """The column of a role in this row. Raises RecordError where the row has none."""
        names = self.names[role]
        for name in names:
            if name in row:
                return name
        wanted = names[-1] if names else ROLES[self.format][role][-1]
        raise RecordError(missing_column(wanted, role, row, self.format, self.given()))

    def given(self) -> dict[Role, str]:
        """The columns that the study calls otherwise than the format does, by role."""
        own = ROLES[self.format]
        return {r: names[0] for r, names in self.names.items() if self.named & {*names} - {*own[r]}}

    def value(self, row: Row, role: Role) -> Any:
        """What a row holds of a role that it may leave out: None where it does."""
        for name in self.names.get(role, ()):  # a loop: a generator costs more than all it does here
            if name in row:
                return row[name]
        return None

    def unread(self, row: Row) -> Iterator[str]:
        """The row's columns that nothing reads."""
        return (column for column in row if column not in self.read)


def layout(
    format: str, columns: Columns = OWN, ignore: Iterable[str] = (), more: Iterable[str | None] = ()
) -> Layout:
    """The layout of a format with some columns named otherwise.

    A column that has another role, or that is ignored, is not read for the role that its name suggests.
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
    """A cell's text. Raises RecordError for whatever is none."""
    if value is None:
        raise RecordError(f"column {column!r} is null")
    if isinstance(value, float) and math.isnan(value):
        raise RecordError(f"column {column!r} holds NaN, not text: write null where nothing is")
    if not isinstance(value, str):
        raise RecordError(f"column {column!r} holds a {type(value).__name__}, not text")
    return repair(value)
