"""Reads a benchmark's items. An unusable row is an error, so that no row is dropped silently."""

from dataclasses import dataclass, replace

from preceptor.evaluation.checkers import CHECKS, refusal
from preceptor.evaluation.whole_file import read_whole
from preceptor.records import Row
from preceptor.records.formats import ANSWERED, ASKED, read_conversation
from preceptor.records.layout import Conversation, Layout, RecordError, layout, layout_of
from preceptor.records.unread import refuse_unread
from preceptor.study.conversations import Columns, Role
from preceptor.study.evaluation import Checkers, Grades, Pairwise
from preceptor.text import digest, written

CHECKED: tuple[Role, ...] = ("instruction", "input", "system")


@dataclass(frozen=True)
class Item:
    """One instruction, with an answer and its check, or with a reference response."""

    item_id: str
    system: str | None
    user: tuple[str, ...]
    task: str | None = None
    answer: str = ""
    check: str = ""
    reference: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """The system prompt (if any) and the user turns, for judge prompts with one place for both."""
        if self.system is None or not self.system.strip():
            return self.user
        return (self.system, *self.user)


Asking = Checkers | Pairwise | Grades


def read_items(evaluation: Asking) -> list[Item]:
    """All items of a benchmark, in the file's order.

    Raises BenchmarkError for a row without instruction, answer or reference, an answer that fails its own
    check, a repeated instruction, text that would be ignored, or a file without rows. Raises RecordsError for
    a bad file.
    """
    subject, where = f"evaluation {evaluation.name!r}", _layout(evaluation)
    return read_whole(
        evaluation,
        subject,
        lambda row: _item(evaluation, row, where),
        lambda item: (item.item_id, "the instruction"),
    )


def _layout(evaluation: Asking) -> Layout:
    if not isinstance(evaluation, Checkers):
        return layout_of(evaluation)
    own = evaluation.columns
    asked = Columns(instruction=own.instruction, input=own.input, system=own.system)
    whole = layout("plain", asked, evaluation.ignore, (own.answer, own.check, own.task))
    return replace(whole, names={role: whole.names[role] for role in CHECKED})  # one turn, and no response


def _item(evaluation: Asking, row: Row, where: Layout) -> Item:
    conversation = read_conversation(
        row, where, ASKED + ANSWERED if isinstance(evaluation, Pairwise) else ASKED
    )
    item = _of(evaluation, row, conversation)
    refuse_unread(row, where, conversation)
    return item


def _of(evaluation: Asking, row: Row, conversation: Conversation) -> Item:
    user, system = _instruction(conversation), conversation.system
    item_id = digest(system or "", *user)
    match evaluation:
        case Checkers():
            return Item(item_id, system, user, *_checked(evaluation, row))
        case Pairwise():
            reference = _reference(evaluation, conversation)
            return Item(item_id, system, user, reference=reference)
        case Grades():
            return Item(item_id, system, user)


def _checked(evaluation: Checkers, row: Row) -> tuple[str | None, str, str]:
    """Task, answer and check."""
    columns = evaluation.columns
    answer, check = _cell(row, columns.answer), _cell(row, columns.check)
    if fault := refusal(check, answer):
        raise RecordError(f"column {columns.answer if check in CHECKS else columns.check!r}: {fault}")
    return None if columns.task is None else _cell(row, columns.task), answer, check


def _reference(evaluation: Pairwise, conversation: Conversation) -> tuple[str, ...]:
    user, reference = conversation.user, conversation.assistant
    if len(reference) != len(user):
        raise RecordError(
            f"has {len(reference)} responses of the reference for {len(user)} user turns (format"
            f" {evaluation.format}): give one response for each turn"
        )
    return reference


def _instruction(conversation: Conversation) -> tuple[str, ...]:
    if not conversation.user or not all(turn.strip() for turn in conversation.user):
        raise RecordError("has an empty instruction: fill it or remove the row")
    return conversation.user


def _cell(row: Row, column: str) -> str:
    """The text or number in a column."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        there = ", ".join(map(str, list(row)[:8]))
        cure = "fill it" if column in row else "add it, or name another column in 'columns'"
        raise RecordError(f"column {column!r} has no text or number (the row has {there}): {cure}")
    return written(value)
