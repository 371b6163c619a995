"""Reads held-out pairs of instruction and response. An unusable row is an error, so no row is dropped."""

from collections.abc import Iterable
from dataclasses import dataclass

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.whole_file import read_whole
from preceptor.records import Row
from preceptor.records.formats import ANSWERED, ASKED, read_conversation
from preceptor.records.layout import Layout, RecordError, layout_of
from preceptor.records.unread import refuse_unread
from preceptor.study.conversations import Conversations
from preceptor.text import digest


@dataclass(frozen=True)
class Pair:
    """An instruction and its real response, with equal numbers of turns. `filtered` is why it is left out."""

    item_id: str
    system: str | None
    user: tuple[str, ...]
    response: tuple[str, ...]
    filtered: str | None = None


def read_pairs(records: Conversations) -> list[Pair]:
    """All pairs of a file, in its order. A pair with an empty response has the reason in `filtered`.

    Raises BenchmarkError for a row without instruction, with more or fewer responses than user turns, with a
    repeated instruction or with text that would be ignored, and for a file without rows. Raises RecordsError
    for a damaged file.
    """
    layout = layout_of(records)
    return read_whole(
        records,
        "held-out pairs",
        lambda row: _pair(row, layout),
        lambda pair: (pair.item_id, "the instruction"),
    )


def conversations(pairs: Iterable[Pair]) -> list[Conversation]:
    """The conversations to score: all pairs that are not filtered, in order."""
    return [Conversation(pair.system, pair.user, pair.response) for pair in pairs if pair.filtered is None]


def _pair(row: Row, layout: Layout) -> Pair:
    read = read_conversation(row, layout, ASKED + ANSWERED)
    refuse_unread(row, layout, read)
    if not read.user or not all(turn.strip() for turn in read.user):
        raise RecordError("has an empty instruction: fill it or remove the row")
    if len(read.assistant) != len(read.user):
        raise RecordError(
            f"has {len(read.assistant)} responses for {len(read.user)} user turns (format"
            f" {layout.format}): give one response for each turn"
        )
    item_id = digest(read.system or "", *read.user)
    return Pair(item_id, read.system, read.user, read.assistant, _unscorable(read.assistant))


def _unscorable(response: tuple[str, ...]) -> str | None:
    """An error for an empty response, which has no likelihood. Public files, such as Alpaca, have a few."""
    for number, turn in enumerate(response, start=1):
        if not turn.strip():
            return f"response {number} of {len(response)} is empty: it has no token to score"
    return None
