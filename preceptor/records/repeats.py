"""Columns that say again what other columns say: a prompt as it was rendered, with the answer in it or not.

Whoever reads such a column as an input shows the answer with the question. So it is never offered as one, and
where nothing but the same words stands around the repeated texts, nothing is lost by leaving it out.
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
SHORT = 5  # words: a passage may hold answers that are no longer, and is still no copy of them


@dataclass(frozen=True)
class Piece:
    """A text that a row says, and the column that it stands in."""

    column: str
    text: str
    kind: Kind


@dataclass(frozen=True)
class Around:
    """The words around repeated texts, hashed, and whose texts those are, in order; `bare`: none."""

    columns: tuple[str, ...]
    words: int
    bare: bool


def pieces(row: Row, layout: Layout, read: Conversation, answers: bool) -> list[Piece]:
    """What a row says, in the order in which it is said; with `answers` also those that nothing reads."""
    found = [Piece(_column(row, layout, "system"), read.system or "", "system")]
    found += _turns(row, layout, read)
    if answers:
        unread = [*layout.ignored, *layout.unread(row)]
        beside = [*layout.more, *(name for name in unread if _is_answer(name))]
        spoken = {piece.text.strip() for piece in found}  # a chat of both sides repeats the question
        found += [
            Piece(name, text, "answer")
            for name in beside
            for text in _answers(row.get(name))
            if text.strip() not in spoken
        ]
    return [piece for piece in found if piece.text.strip()]


def folded_pieces(said: Sequence[Piece]) -> list[Piece]:
    """The same whatever their case, blanks and line ends, to be found in another text that is folded."""
    return [replace(piece, text=folded(piece.text)) for piece in said]


def texts(value: Any) -> Iterator[str]:
    """The texts in a cell, whatever lists and objects they stand in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):  # Parquet's maps are lists of tuples
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def repeated(text: str, column: str, said: Sequence[Piece]) -> tuple[str, ...]:
    """The columns whose instruction or answer a text holds; all of them folded."""
    return tuple(dict.fromkeys(piece.column for piece in _repeated(text, column, said)))


def _repeated(text: str, column: str, said: Sequence[Piece]) -> list[Piece]:
    found = [piece for piece in said if piece.kind in ("asked", "answer") and find(text, piece.text) >= 0]
    if last_word(column) in MATERIAL and not any(piece.kind == "asked" for piece in found):
        found = [piece for piece in found if len(piece.text.split()) > SHORT]
    return found


def showing(row: Row, layout: Layout, read: Conversation) -> dict[str, tuple[str, ...]]:
    """Columns that are read as an input or a system prompt, and hold the question and its answer again.

    A passage that holds the answer alone is none: where else should it be found.
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
    """What is around the pieces in a text that holds all that was asked, in order; or None. All folded."""
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
    """Where a part stands in a text as whole words, from a place on; -1 where it does not."""
    place = text.find(part, start)
    while place >= 0 and _cuts_a_word(text, place, place + len(part)):
        place = text.find(part, place + 1)
    return place


def _cuts_a_word(text: str, start: int, end: int) -> bool:
    edges = (place for place in (start, end) if 0 < place < len(text))
    return any(text[place - 1].isalnum() and text[place].isalnum() for place in edges)


def _is_answer(name: str) -> bool:
    return last_word(name) in ANSWERS and APART.isdisjoint(words_of(name))  # not its score


def _answers(value: Any) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = written(value)
    return (text for text in texts(value) if text not in CHECKS)


def _turns(row: Row, layout: Layout, read: Conversation) -> Iterator[Piece]:
    """Turn by turn; the last question of a row with columns of its own for both is instruction and input."""
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
