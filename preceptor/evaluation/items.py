"""A benchmark's items, read so that every row of the file is one: a benchmark never shrinks silently."""

from dataclasses import dataclass

from preceptor.evaluation.checkers import CHECKS
from preceptor.evaluation.whole_file import read_whole
from preceptor.instructions.formats import Columns, Conversation, RecordError, read_conversation
from preceptor.records import Row
from preceptor.study.evaluation import Checkers, Grades, Pairwise
from preceptor.text import digest, repair


@dataclass(frozen=True)
class Item:
    """One instruction, and what the response is held against: an answer with its check, or a reference."""

    item_id: str
    system: str | None
    user: tuple[str, ...]
    task: str | None = None
    answer: str = ""
    check: str = ""
    reference: tuple[str, ...] = ()


Asking = Checkers | Pairwise | Grades


def read_items(evaluation: Asking) -> list[Item]:
    """All items of a benchmark, in the file's order.

    Raises BenchmarkError for a row without instruction, answer or reference, an answer that its own check
    refuses, an instruction that an earlier row has, or a file without rows; RecordsError for a bad file.
    """
    subject = f"evaluation {evaluation.name!r}"
    return read_whole(
        evaluation,
        subject,
        lambda row: _item(evaluation, row),
        lambda item: (item.item_id, "the instruction"),
    )


def _item(evaluation: Asking, row: Row) -> Item:
    match evaluation:
        case Checkers():
            return _checked(evaluation, row)
        case Pairwise():
            return _referenced(evaluation, row)
        case Grades():
            conversation = read_conversation(row, evaluation.format, Columns())
            user = _instruction(conversation)
            return Item(digest(conversation.system or "", *user), conversation.system, user)


def _checked(evaluation: Checkers, row: Row) -> Item:
    columns = evaluation.columns
    user = _instruction(read_conversation(row, "plain", Columns(columns.instruction)))
    answer, check = _cell(row, columns.answer), _cell(row, columns.check)
    if check not in CHECKS:
        raise RecordError(f"column {columns.check!r} holds {check!r}: write one of {', '.join(CHECKS)}")
    if not CHECKS[check](answer, answer):
        raise RecordError(
            f"column {columns.answer!r} holds {answer!r}, which its own check {check!r} refuses: mend either"
        )
    task = None if columns.task is None else _cell(row, columns.task)
    return Item(digest("", *user), None, user, task, answer, check)


def _referenced(evaluation: Pairwise, row: Row) -> Item:
    conversation = read_conversation(row, evaluation.format, Columns(response="response"))
    user, reference = _instruction(conversation), conversation.assistant
    if len(reference) != len(user):
        raise RecordError(
            f"holds {len(reference)} responses of the reference for {len(user)} user turns (format"
            f" {evaluation.format}): give each turn one"
        )
    item_id = digest(conversation.system or "", *user)
    return Item(item_id, conversation.system, user, reference=reference)


def _instruction(conversation: Conversation) -> tuple[str, ...]:
    if not conversation.user or not all(turn.strip() for turn in conversation.user):
        raise RecordError("holds an empty instruction: fill it or leave the row out")
    return conversation.user


def _cell(row: Row, column: str) -> str:
    """The text or number in a column; a JSON file may hold either."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        there = ", ".join(map(str, list(row)[:8]))
        cure = "fill it" if column in row else "add it, or name another in 'columns'"
        raise RecordError(f"column {column!r} holds no text or number (the row has {there}): {cure}")
    return repair(str(value))
