"""A benchmark's items, read so that every row of the file is one: a benchmark never shrinks silently."""

from dataclasses import dataclass

from preceptor.evaluation.checkers import CHECKS
from preceptor.instructions.formats import Columns, Conversation, RecordError, read_conversation
from preceptor.records import Row, read_records
from preceptor.study.evaluation import Checkers, Pairwise
from preceptor.text import digest, repair


class BenchmarkError(ValueError):
    """A benchmark file with a row that cannot be used; its text says which row and what to mend."""


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


@dataclass(frozen=True)
class Verdict:
    """How well an item was answered, 0 to 1, the judge's two scores where there is one, or why nothing."""

    outcome: float | None = None
    score: float | None = None
    reference_score: float | None = None
    error: str | None = None


def read_items(evaluation: Checkers | Pairwise) -> list[Item]:
    """All items of a benchmark, in the file's order.

    Raises BenchmarkError for a row without instruction, answer or reference, an answer that its own check
    refuses, an instruction that an earlier row has, or a file without rows; RecordsError for a bad file.
    """
    places: dict[str, str] = {}
    items = []
    for place, row in read_records(evaluation):
        try:
            item = _item(evaluation, row)
            if item.item_id in places:
                raise RecordError(f"repeats the instruction of {places[item.item_id]}: leave one of them out")
        except RecordError as error:
            raise BenchmarkError(
                f"evaluation {evaluation.name!r}, {evaluation.origin}, {place}: {error}"
            ) from error
        places[item.item_id] = place
        items.append(item)
    if not items:
        raise BenchmarkError(f"evaluation {evaluation.name!r}: {evaluation.origin} has no rows")
    return items


def _item(evaluation: Checkers | Pairwise, row: Row | str) -> Item:
    if isinstance(row, str):
        raise RecordError(row)
    match evaluation:
        case Checkers():
            return _checked(evaluation, row)
        case Pairwise():
            return _referenced(evaluation, row)


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
