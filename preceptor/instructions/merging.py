"""Find rows with the same text that differ in an unread column: two questions that merged into one.

Only columns that could be part of the question distinguish two rows. Answers, ids, ratings and labels may
also differ between copies of one question.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any

from preceptor.records import Row
from preceptor.records.column_names import (
    ANSWERS,
    APART,
    PROMPTS,
    is_label,
    is_operand,
    last_word,
    words_of,
)
from preceptor.records.layout import Conversation, Layout
from preceptor.records.repeats import find, folded_pieces, pieces
from preceptor.records.unread import LABEL_CHARACTERS, OPAQUE
from preceptor.text import folded

NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?|true|false|null|none|nan", re.IGNORECASE)
HASH_CHARACTERS = 16  # shorter words of digits and letters may be text, such as H2O
CELL = Struct("=II")  # a column's number, and 32 bits of a hash of its content


def told_apart_by(row: Row, layout: Layout, read: Conversation) -> dict[str, int]:
    """A hash for each unread column that could distinguish two questions.

    Text counts unless its column has the name of an answer, an id or a rating (`ANSWERS`, `APART`) or of a
    label. A label, or a number that is not an operand, counts only if its column's name is in the question.
    """
    columns = [name for name in layout.unread(row) if not _beside_the_question(name)]
    if not columns:
        return {}
    said = folded_pieces(pieces(row, layout, read, answers=True))
    answers = [piece.text for piece in said if piece.kind == "answer"]
    question = " ".join(piece.text for piece in said if piece.kind != "answer")
    told = {name: _told(row[name], name, question, answers) for name in columns}
    return {name: hash(parts) for name, parts in told.items() if parts}


@dataclass
class Merged:
    """Counts rows that differ from the first row with the same text, and the columns in which they differ.

    Memory: a hash per distinct text, and 8 bytes per cell that could distinguish it.
    """

    rows: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    first: dict[int, bytes] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def compare(self, said: tuple[str, ...], beside: dict[str, int]) -> None:
        """Count a row."""
        own = b"".join(CELL.pack(self._number(name), hash & 0xFFFFFFFF) for name, hash in beside.items())
        earlier = self.first.setdefault(hash(said), own)
        if earlier == own:
            return
        one, other = dict(CELL.iter_unpack(earlier)), dict(CELL.iter_unpack(own))
        differ = [self.names[number] for number in {**one, **other} if one.get(number) != other.get(number)]
        self.columns.update(differ)
        self.rows += bool(differ)

    def _number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.names)
            self.names.append(name)
        return self.numbers[name]

    def losses(self, read: int, cure: Callable[[str], str]) -> Iterator[str]:
        """A sentence if rows merged that differ in a column. `cure` gives the settings that read it."""
        for column, count in self.columns.most_common(1):
            others = [repr(other) for other in self.columns if other != column]
            besides = f"; the same holds for {', '.join(others[:8])}" if others else ""
            yield (
                f"{count:,} of {read:,} rows differ from an earlier one only in column {column!r}, which"
                f" nothing reads: {cure(column)}{besides}"
            )


def _beside_the_question(name: str) -> bool:
    return last_word(name) in ANSWERS or not APART.isdisjoint(words_of(name))


def _told(value: Any, name: str, question: str, answers: Sequence[str]) -> tuple[str, ...]:
    """The texts of a cell, also inside lists and objects, that could be part of the question."""
    if isinstance(value, dict):
        parts = ((str(key), item) for key, item in value.items() if not _beside_the_question(str(key)))
        return tuple(text for key, item in parts for text in _told(item, key, question, answers))
    if isinstance(value, list | tuple):
        return tuple(text for item in value for text in _told(item, name, question, answers))
    text = "" if value is None else str(value).strip()
    text = _without(text, answers) if isinstance(value, str) and answers else text
    return (text,) if text and _is_asked(text, name, question) else ()


def _is_asked(text: str, name: str, question: str) -> bool:
    last = last_word(name)
    if last in PROMPTS:
        return True
    if NUMBER.fullmatch(text):
        return is_operand(name) or find(question, last) >= 0
    if is_label(name) and len(text) <= LABEL_CHARACTERS:
        return find(question, last) >= 0
    return len(text) < HASH_CHARACTERS or OPAQUE.fullmatch(text) is None


def _without(text: str, answers: Sequence[str]) -> str:
    """A text without the answers in it, so that rendered prompts with different answers stay equal."""
    rest = whole = folded(text)
    for answer in answers:
        if (place := find(rest, answer)) >= 0:
            rest = rest[:place] + rest[place + len(answer) :]
    return text if rest == whole else rest.strip()
