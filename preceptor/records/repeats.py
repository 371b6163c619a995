"""Find columns that repeat other columns, such as a rendered prompt, with or without the answer.

Read as an input, such a column would reveal the answer. So it is never suggested as an input. If the words
around the repeated texts are the same in all rows, ignoring the column loses nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from preceptor.evaluation.checkers import CHECKS
from preceptor.records.column_names import ANSWERS, APART, MATERIAL, last_word, words_of
from preceptor.records.layout import Conversation, Layout
from preceptor.records.opening import Row
from preceptor.study.conversations import Role
from preceptor.text import folded, written

Kind = Literal["system", "asked", "input", "answer"]
SHORT = 5  # words; a passage may contain answers of this length without being a copy of them


@dataclass(frozen=True)
class Piece:
    """A text of a row, and its column."""

    column: str
    text: str
    kind: Kind


@dataclass(frozen=True)
class Around:
    """A hash of the words around repeated texts, and the texts' columns in order. `bare`: no words."""

    columns: tuple[str, ...]
    words: int
    bare: bool


def pieces(row: Row, layout: Layout, read: Conversation, answers: bool) -> list[Piece]:
    """The texts of a row in conversation order; with `answers` also those of unread answer columns."""
    found = [Piece(_column(row, layout, "system"), read.system or "", "system")]
    found += _turns(row, layout, read)
    if answers:
        unread = [*layout.ignored, *layout.unread(row)]
        beside = [*layout.more, *(name for name in unread if _is_answer(name))]
        spoken = {piece.text.strip() for piece in found}  # a chat with both sides repeats the question
        found += [
            Piece(name, text, "answer")
            for name in beside
            for text in _answers(row.get(name))
            if text.strip() not in spoken
        ]
    return [piece for piece in found if piece.text.strip()]


def folded_pieces(said: Sequence[Piece]) -> list[Piece]:
    """The pieces with case, spaces and line ends folded, to be searched for in another folded text."""
    return [replace(piece, text=folded(piece.text)) for piece in said]


def texts(value: Any) -> Iterator[str]:
    """The texts in a cell, including those inside lists and objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):  # Parquet's maps are lists of tuples
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def repeated(text: str, column: str, said: Sequence[Piece]) -> tuple[str, ...]:
    """The columns whose instruction or answer a text contains. All texts are folded."""
    return tuple(dict.fromkeys(piece.column for piece in _repeated(text, column, said)))


def _repeated(text: str, column: str, said: Sequence[Piece]) -> list[Piece]:
    found = [piece for piece in said if piece.kind in ("asked", "answer") and find(text, piece.text) >= 0]
    if last_word(column) in MATERIAL and not any(piece.kind == "asked" for piece in found):
        found = [piece for piece in found if len(piece.text.split()) > SHORT]
    return found


def showing(row: Row, layout: Layout, read: Conversation) -> dict[str, tuple[str, ...]]:
    """Columns read as input or system prompt that contain both the question and its answer again.

    A passage that contains only the answer is not one: reading tasks expect the answer there.
    """
    asked = {name: row.get(name) for name in (_column(row, layout, "input"), _column(row, layout, "system"))}
    filled = {name: text for name, text in asked.items() if isinstance(text, str) and text.strip()}
    if not filled:
        return {}
    said = folded_pieces(pieces(row, layout, read, answers=True))
    found = {name: _repeated(folded(text), name, said) for name, text in filled.items()}
    return {
        name: tuple(dict.fromkeys(piece.column for piece in held))
        for name, held in found.items()
        if {"asked", "answer"} <= {piece.kind for piece in held}
    }


def around(text: str, said: Sequence[Piece]) -> Around | None:
    """The words around the pieces, if a text contains all that was asked, in order; else None. All folded."""
    columns: list[str] = []
    words: list[str] = []
    end = 0
    for piece in said:
        place = find(text, piece.text, end)
        if place >= 0:
            columns.append(piece.column)
            words.append(text[end:place].strip())
            end = place + len(piece.text)
        elif piece.kind != "answer":
            return None
    asked = any(piece.kind == "asked" for piece in said)
    words.append(text[end:].strip())
    return Around(tuple(columns), hash(tuple(words)), not any(words)) if asked else None


def find(text: str, part: str, start: int = 0) -> int:
    """The position of a part in a text as whole words, from `start` on; -1 if it is not there."""
    place = text.find(part, start)
    while place >= 0 and _cuts_a_word(text, place, place + len(part)):
        place = text.find(part, place + 1)
    return place


def _cuts_a_word(text: str, start: int, end: int) -> bool:
    edges = (place for place in (start, end) if 0 < place < len(text))
    return any(text[place - 1].isalnum() and text[place].isalnum() for place in edges)


def _is_answer(name: str) -> bool:
    return last_word(name) in ANSWERS and APART.isdisjoint(words_of(name))  # excludes an answer's score


def _answers(value: Any) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = written(value)
    return (text for text in texts(value) if text not in CHECKS)


def _turns(row: Row, layout: Layout, read: Conversation) -> Iterator[Piece]:
    """The pieces turn by turn. Outside of chats, the last question is instruction and input."""
    chat = "messages" in layout.names or layout.format == "fastchat"
    own = _column(row, layout, "messages" if "messages" in layout.names else "instruction")
    answered = own if chat else _column(row, layout, "response")
    for number in range(max(len(read.user), len(read.assistant))):
        last = number == len(read.user) - 1
        if last and not chat:
            yield from _asked(row, layout)
        elif number < len(read.user):
            yield Piece(own, read.user[number], "asked")
        if number < len(read.assistant):
            yield Piece(answered, read.assistant[number], "answer")


def _asked(row: Row, layout: Layout) -> Iterator[Piece]:
    roles: tuple[tuple[Role, Kind], ...] = (("instruction", "asked"), ("input", "input"))
    for role, kind in roles:
        text = layout.value(row, role)
        if isinstance(text, str):
            yield Piece(_column(row, layout, role), text, kind)


def _column(row: Row, layout: Layout, role: Role) -> str:
    names = layout.names.get(role, ())
    return next((name for name in names if name in row), names[0] if names else role)
