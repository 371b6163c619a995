"""Reads Arena-Hard's question and answer files, v0.1 and v2.0. Every row must be usable."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from preceptor.evaluation.arena_hard import Version
from preceptor.evaluation.arena_hard.style import Style
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.records import Row, read_records
from preceptor.records.formats import read_conversation
from preceptor.records.layout import Conversation, RecordError, layout
from preceptor.study.fields import Records
from preceptor.text import repair

QUESTION = (
    "an Arena-Hard question has 'uid' or 'question_id', 'category', 'cluster' (v0.1) or 'subcategory' (v2.0),"
    " and 'prompt' or 'turns'"
)
ANSWER = (
    "an Arena-Hard answer has 'question_id', 'model_id' and one of 'choices' (v0.1), or 'uid', 'model' and"
    " 'messages' (v2.0)"
)
LAYOUTS = {"choices": ("v0.1", "model_id", "conv_metadata"), "messages": ("v2.0", "model", "metadata")}
LAYOUT = layout("fastchat")
COUNTS = ("header_count", "list_count", "bold_count")


@dataclass(frozen=True)
class Question:
    """A question and its groups. `subcategory` is v0.1's cluster."""

    question_id: str
    version: Version
    category: str
    subcategory: str
    turns: tuple[str, ...]


@dataclass(frozen=True)
class ModelAnswer:
    """A model's answer, with its tokens and style if the file has them."""

    question_id: str
    model: str
    turns: tuple[str, ...]
    tokens: int | None
    style: Style | None


Read = TypeVar("Read", Question, ModelAnswer)
Parse = Callable[[Row], tuple[str, Read]]  # the kind, which must be the same for all rows, and the row


def read_questions(records: Records) -> list[Question]:
    """All questions of a file, in its order.

    Raises BenchmarkError for a row that is not a question, a repeated id, rows of both versions, or a file
    without rows. Raises RecordsError for an unreadable file.
    """
    return list(_read(records, _question, QUESTION).values())


def read_answers(records: Records) -> dict[str, ModelAnswer]:
    """The answers of one model's file by question id, in its order.

    Raises BenchmarkError for a row that is not an answer, a repeated id, rows of both versions or of several
    models, or a file without rows. Raises RecordsError for an unreadable file.
    """
    return _read(records, _answer, ANSWER)


def _read(records: Records, parse: Parse[Read], expected: str) -> dict[str, Read]:
    found: dict[str, Read] = {}
    places: dict[str, str] = {}
    kinds: dict[str, str] = {}  # with the place of each kind's first row
    for place, row in read_records(records):
        try:
            if isinstance(row, str):
                raise RecordError(row)
            kind, read = parse(row)
            _refuse_repeat(read.question_id, places)
            _refuse_mix(kind, kinds, place)
        except RecordError as error:
            raise BenchmarkError(f"{records.origin}, {place}: {error} ({expected})") from error
        found[read.question_id], places[read.question_id] = read, place
    if not found:
        raise BenchmarkError(f"{records.origin} has no rows ({expected})")
    return found


def _refuse_repeat(question_id: str, places: dict[str, str]) -> None:
    if question_id in places:
        raise RecordError(f"repeats the id {question_id!r} of {places[question_id]}: remove one of them")


def _refuse_mix(kind: str, kinds: dict[str, str], place: str) -> None:
    kinds.setdefault(kind, place)
    first, at = next(iter(kinds.items()))
    if kind != first:
        raise RecordError(f"is {kind}, but {at} is {first}: use a separate file for each")


def _question(row: Row) -> tuple[str, Question]:
    if ("cluster" in row) == ("subcategory" in row):
        raise RecordError("must have exactly one of 'cluster' (v0.1) and 'subcategory' (v2.0)")
    version: Version = "v0.1" if "cluster" in row else "v2.0"
    group = _text(row, "cluster" if version == "v0.1" else "subcategory")
    read = read_conversation(row, LAYOUT)
    if not read.user or not all(turn.strip() for turn in read.user):
        raise RecordError("'prompt' or 'turns' has an empty question: fill it or remove the row")
    return f"a {version} question", Question(_id(read), version, _text(row, "category"), group, read.user)


def _answer(row: Row) -> tuple[str, ModelAnswer]:
    if ("choices" in row) == ("messages" in row):
        raise RecordError("must have exactly one of 'choices' (v0.1) and 'messages' (v2.0)")
    layout, name, about = LAYOUTS["choices" if "choices" in row else "messages"]
    model, read = _text(row, name), read_conversation(row, LAYOUT)
    if not read.assistant:
        raise RecordError("'messages' has no answer of the assistant: add it or remove the row")
    tokens, style = _stated(row, about)
    return f"a {layout} answer of {model!r}", ModelAnswer(_id(read), model, read.assistant, tokens, style)


def _stated(row: Row, about: str) -> tuple[int | None, Style | None]:
    """The file's counts of tokens and style. Older files of v0.1 have tokens by turn and no style."""
    metadata = row.get(about)
    if metadata is None:
        turns = row["choices"][0]["turns"] if "choices" in row else []
        stated = [turn["token_len"] for turn in turns if isinstance(turn, dict) and "token_len" in turn]
        return (_count(stated, "token_len"), None) if stated and len(stated) == len(turns) else (None, None)
    if not isinstance(metadata, dict) or "token_len" not in metadata:
        raise RecordError(f"{about!r} has no 'token_len': add it or remove {about!r}")
    tokens = _count(metadata["token_len"], f"{about}.token_len")
    if not any(name in metadata for name in COUNTS):
        return tokens, None
    return tokens, Style(tokens, *(_count(metadata.get(name), f"{about}.{name}") for name in COUNTS))


def _count(value: Any, field: str) -> int:
    """A count, or the sum of the counts in a list or an object."""
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if not all(isinstance(part, int) and not isinstance(part, bool) and part >= 0 for part in parts):
        raise RecordError(f"{field!r} is {value!r}: write a whole number from 0, or an object of them")
    return sum(parts)


def _id(read: Conversation) -> str:
    if not read.id:
        raise RecordError("has no id: fill 'question_id' or 'uid'")
    return read.id


def _text(row: Row, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"{field!r} has no text: fill it")
    return repair(value)
