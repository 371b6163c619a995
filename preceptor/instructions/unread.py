"""Text that a row carries in columns which nothing reads: what would be lost without a word.

A context, an input or a system prompt under another name is part of what was asked: without it the answers
belong to another question, and rows that differ only there merge. Ids, numbers, truth values and labels are
no such text. Which is which is decided cell by cell, see `is_text`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from preceptor.instructions.chat import READ, messages_of
from preceptor.instructions.conversation import Conversation
from preceptor.instructions.layout import Layout, RecordError, Row
from preceptor.study.conversations import ROLES, Role

OFFERED: tuple[Role, ...] = ("input", "system", "history", "response")
WORDS = 5  # a label has no more of them
CHARACTERS = 60  # nor of these
LABEL_CHARACTERS = 100  # in a column that is called like a label
SENTENCE = re.compile(r"[.!?…。！？]\s*$|\n")
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
LABELS = frozenset(
    "category categories cluster dataset datasets difficulty domain generator kind label labels language"
    " license model name source subcategory subject tag tags task title topic topics type url urls".split()
)
ANSWERS = frozenset(
    "answer answers chosen completion completions output outputs rejected response responses".split()
)
# An address, or what only a program reads, a hash or base64: one word, however long.
OPAQUE = re.compile(r"[a-z]+://\S+|(?=\D*\d)[A-Za-z0-9_+/=-]+")
# The last word of a column's name that says: this was shown to whoever answered.
PROMPTS = frozenset(
    "article background choices content context contexts conversation conversations dialog dialogue document"
    " documents history hypothesis input inputs instruction instructions messages options paragraph passage"
    " passages persona prefix premise preamble prompt prompts query question questions sentence sentences"
    " story system text texts turns".split()
)
# Words in the names of columns that differ between two copies of one question too.
APART = frozenset(
    "annotator at confidence cost created generator guid hash id idx ids index link md5 model path preference"
    " price rater rating reward sample score seed sha temperature time timestamp tstamp uid updated url uuid"
    " worker".split()
)


def unread_text(row: Row, layout: Layout, read: Conversation, answers_count: bool) -> list[str]:
    """The columns, and the keys of messages, that nothing reads and that hold text in this row.

    A copy of a text that is read (a chat's `prompt` beside its messages) is not lost. An instruction source
    may pass over answers (`answers_count` false): they are no part of what is asked.
    """
    found = [column for column in layout.unread(row) if is_text(row[column], column)]
    said = {text.strip() for text in (read.system or "", *read.user, *read.assistant)} if found else set()
    return [
        *(
            column
            for column in found
            if not (isinstance(row[column], str) and row[column].strip() in said)
            and (answers_count or last_word(column) not in ANSWERS)
        ),
        *_beside_messages(row, layout),
    ]


def is_text(value: Any, column: str) -> bool:
    """Whether a cell says something that could be part of a prompt.

    A text does if it ends a sentence, has several lines, more than 5 words or more than 60 characters; in a
    column called like a prompt (`context`, `model_input`) any text does, and in one called like a label
    (`category`) only what is longer than 100 characters. An address or a hash does in a prompt's column only.
    A list or an object does if anything in it does.
    """
    if isinstance(value, str):
        return bool(value.strip()) and _says_something(value.strip(), last_word(column))
    if isinstance(value, dict):
        return any(is_text(item, column) for item in value.values())
    return isinstance(value, list) and any(is_text(item, column) for item in value)


def told_apart_by(row: Row, layout: Layout) -> dict[str, int]:
    """A hash per unread column in which two rows may differ and thereby be two questions.

    Answers make none: several rows with one question each have their own.
    """
    columns = (column for column in layout.unread(row) if last_word(column) not in ANSWERS)
    values = ((column, row[column]) for column in columns if not APART & {*words_of(column)})
    return {column: hash(repr(value)) for column, value in values if value is not None and value != ""}


def words_of(column: str) -> list[str]:
    """The words of a column's name, whether written model_input or modelInput."""
    return [word.lower() for word in TOKENS.findall(column)] or [column.lower()]


def last_word(column: str) -> str:
    """The last word of a column's name, which says what it is."""
    return words_of(column)[-1]


def cure(column: str, layout: Layout) -> str:
    """Which settings read a column, or leave it out knowingly."""
    leave = f"'ignore: [{column}]' leaves it out"
    formats = [f for f, roles in ROLES.items() if f != layout.format and column in _names(f)]
    if column == "instances":
        return f"'format: alpaca' reads it, {leave}"
    free = [role for role in OFFERED if role in layout.names and not layout.named & set(layout.names[role])]
    ways = [f"'format: {other}'" for other in formats[:1]]
    if "[]" not in column and free:
        first = _likeliest(column, free)
        others = [role for role in free if role != first]
        ways.append(f"'columns: {{{first}: {column}}}'" + (f" (or {', '.join(others)})" if others else ""))
    return f"{' or '.join(ways)} reads it, {leave}" if ways else leave


def reasons(counts: Counter[str], rows: int, layout: Layout) -> Iterator[str]:
    """A sentence per column with the number of rows in which it holds text."""
    for column, count in counts.most_common():
        yield f"column {column!r} holds text in {count:,} of {rows:,} rows: {cure(column, layout)}"


def refuse_unread(row: Row, layout: Layout, read: Conversation) -> None:
    """For files that must be used whole: raise RecordError where a column holds text that nothing reads."""
    for column in unread_text(row, layout, read, answers_count=True):
        raise RecordError(f"column {column!r} holds text that nothing reads: {cure(column, layout)}")


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
            continue  # the record is refused for it
        for message in messages:
            for key in message if isinstance(message, dict) else ():
                column = f"{name}[].{key}"
                if key not in READ and column not in layout.ignored and is_text(message[key], str(key)):
                    found[column] = None
    return list(found)


def _names(format: str) -> frozenset[str]:
    return frozenset(name for names in ROLES[format].values() for name in names)


def _likeliest(column: str, free: list[Role]) -> Role:
    name = last_word(column)
    likely: Role = "input"
    if name == "history":
        likely = "history"
    elif name in ANSWERS:
        likely = "response"
    elif "system" in column.lower() or name in ("persona", "preamble"):
        likely = "system"
    return likely if likely in free else free[0]
