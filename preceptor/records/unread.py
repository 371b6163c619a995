"""Find text in columns that nothing reads, which would be lost silently.

A context, an input or a system prompt under another name is part of the question. Without it the answers
belong to another question, and rows that differ only there merge. Ids, numbers, booleans and labels are not
such text. `is_text` decides cell by cell.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from preceptor.records.chat import READ, messages_of, parsed
from preceptor.records.column_names import ANSWERS, LABELS, PROMPTS, last_word
from preceptor.records.cure import cure
from preceptor.records.layout import Conversation, Layout, RecordError
from preceptor.records.opening import Row
from preceptor.records.repeats import Around, Piece, around, folded_pieces, pieces, repeated, texts
from preceptor.text import folded, normalise

WORDS = 5  # most words of a label
CHARACTERS = 60  # most characters of a label
LABEL_CHARACTERS = 100  # most characters of a label in a column with a label's name
SENTENCE = re.compile(r"[.!?…。！？]\s*$|\n")
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
# A URL, a hash or base64: one word of any length that only a program reads.
OPAQUE = re.compile(r"[a-z]+://\S+|(?=\D*\d)[A-Za-z0-9_+/=-]+")


@dataclass(frozen=True)
class Unread:
    """A column whose text nothing reads, and the columns whose text it repeats.

    `around` is set if it repeats all that was asked. `listed` means that it is a list or an object.
    """

    column: str
    repeats: tuple[str, ...] = ()
    around: Around | None = None
    listed: bool = False


def unread_text(row: Row, layout: Layout, read: Conversation, answers_count: bool) -> list[Unread]:
    """The columns and message keys that contain text in this row and that nothing reads.

    A copy of a text that is read (a chat's `prompt` next to its messages) is not lost. An instruction source
    may skip answers (`answers_count` false), because they are not part of the question.
    """
    found = [
        column
        for column in layout.unread(row)
        if (answers_count or last_word(column) not in ANSWERS) and is_text(row[column], column)
    ]
    said = pieces(row, layout, read, answers=not answers_count) if found else []
    copies = {*(normalise(piece.text) for piece in said), *map(normalise, read.user)} if found else set()
    said = folded_pieces(said)
    return [
        *(
            _unread(row[column], column, said)
            for column in found
            if not (isinstance(row[column], str) and normalise(row[column]) in copies)
        ),
        *map(Unread, _beside_messages(row, layout)),
    ]


def is_text(value: Any, column: str) -> bool:
    """Whether a cell could be part of a prompt.

    A text counts if it ends a sentence, or has several lines, more than 5 words or more than 60 characters.
    In a column with a prompt's name (`context`, `model_input`) every text counts. In one with a label's name
    (`category`) only a text of more than 100 characters counts. A URL or a hash counts only in a column with
    a prompt's name. A list or an object counts if anything in it does.
    """
    if isinstance(value, str):
        return bool(value.strip()) and _says_something(value.strip(), last_word(column))
    if isinstance(value, dict):
        return any(is_text(item, column) for item in value.values())
    return isinstance(value, list | tuple) and any(is_text(item, column) for item in value)


def refuse_unread(row: Row, layout: Layout, read: Conversation) -> None:
    """Raise RecordError if a column contains text that nothing reads, for files that must be used whole."""
    for left in unread_text(row, layout, read, answers_count=True):
        way = cure(left.column, layout, left.repeats, left.listed)
        raise RecordError(f"column {left.column!r} contains text that nothing reads: {way}")


def _unread(value: Any, column: str, said: Sequence[Piece]) -> Unread:
    text = folded("\n".join(texts(value)))
    return Unread(column, repeated(text, column, said), around(text, said), _is_listed(value, column))


def _is_listed(value: Any, column: str) -> bool:
    try:
        return not isinstance(parsed(value, column), str)
    except RecordError:
        return False


def _says_something(text: str, name: str) -> bool:
    if name in PROMPTS:
        return True
    if OPAQUE.fullmatch(text):
        return False
    if name in LABELS:
        return len(text) > LABEL_CHARACTERS
    words = len(text.split()) + len(UNSPACED.findall(text)) / 2
    return words > WORDS or len(text) > CHARACTERS or SENTENCE.search(text) is not None


def _beside_messages(row: Row, layout: Layout) -> list[str]:
    names = [name for name in layout.names.get("messages", ()) if row.get(name) is not None]
    found: dict[str, None] = {}
    for name in names:
        try:
            messages = messages_of(row[name], name)
        except RecordError:
            continue  # reading the record reports it
        for message in messages:
            for key in message if isinstance(message, dict) else ():
                column = f"{name}[].{key}"
                if key not in READ and column not in layout.ignored and is_text(message[key], str(key)):
                    found[column] = None
    return list(found)
