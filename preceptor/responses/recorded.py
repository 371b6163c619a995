"""Join recorded responses to the study's instructions, and account for every unmatched row."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Outcome, put
from preceptor.lake.schemas import RESPONSES
from preceptor.lake.store import Lake
from preceptor.records import read_records, records_identity
from preceptor.records.formats import ANSWERED, read_conversation
from preceptor.records.layout import Conversation, Layout, RecordError, layout_of
from preceptor.records.missing_column import shortened
from preceptor.records.unread import unread_text
from preceptor.records.unread_count import UnreadCount
from preceptor.responses.endings import ending_of, fault_of
from preceptor.responses.matching import Matching
from preceptor.responses.rows import response_frame, response_row
from preceptor.study.schema import Limits
from preceptor.study.teachers import RecordedTeacher

VERSION = 3  # 2: joined on what the texts say (NFKC joined 5² to 52); 3: how a response ended


class NothingMatchedError(ValueError):
    """A recording without a row that answers an instruction of the study."""


class LossyRecordingError(ValueError):
    """A recording that loses more rows, or more of their text, than the study allows."""


@dataclass
class RecordingCount:
    """The account of a recording's rows: read = matched + all unmatched.

    `lost` unmatched rows could not be read at all. `unread` counts rows with text that nothing reads.
    `without_system` counts rows without the system prompt of the instruction that they match.
    """

    layout: Layout
    read: int = 0
    matched: int = 0
    lost: int = 0
    first_lost: str = ""
    without_system: int = 0
    unmatched: Counter[str] = field(default_factory=Counter)
    asks: str = ""  # the question of the first record that matches no instruction
    places: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    unread: UnreadCount = field(default_factory=UnreadCount)

    def drop(self, reason: str, place: str) -> None:
        """Count a row that matches no instruction, and list its place."""
        self.unmatched[reason] += 1
        self.places.append(f"{place}: {reason}")

    def lose(self, reason: str, place: str) -> None:
        """Count a row that cannot be read."""
        self.lost += 1
        self.first_lost = self.first_lost or f"{place}: {reason}"
        self.drop(reason, place)

    def unanswered(self) -> str:
        """How many rows match no instruction, and why, in a sentence. Empty if all match."""
        first = next(iter(self.places), "").partition(": ")[0]
        return f"of the recording {_reasons(self)} (the first is {first})" if first else ""

    def losses(self) -> Iterator[str]:
        """A sentence per kind of loss, even a small one."""
        if self.lost:
            yield f"{self.lost:,} of {self.read:,} rows cannot be read; the first is {self.first_lost}"
        yield from self.unread.losses(self.read, self.layout)

    def remarks(self) -> Iterator[str]:
        """A sentence per column that was ignored without loss."""
        yield from self.unread.remarks(self.read)

    def problems(self, allowed: float) -> Iterator[str]:
        """A sentence per reason why the recording must not be used as it is."""
        for column in sorted(self.layout.named - self.seen):
            yield f"no row has the column {column!r} that 'columns' names"
        if max(self.lost, self.unread.lost()[0]) > allowed * self.read:
            yield f"it loses more than 'limits.lost_rows' ({allowed:g}) allows: {'; '.join(self.losses())}"


def collect_recorded(
    lake: Lake, teacher: RecordedTeacher, instructions: pl.DataFrame, lost_rows: float = Limits().lost_rows
) -> tuple[Outcome, RecordingCount]:
    """Write the recording to the teacher's partition of `responses`.

    A record without a usable response becomes a row with an `error`. Raises NothingMatchedError, and
    LossyRecordingError if more than the share `lost_rows` cannot be read.
    """
    count = RecordingCount(layout_of(teacher))
    rows = response_frame(list(_rows(teacher, instructions, count)))
    if rows.is_empty():
        raise NothingMatchedError(
            f"teacher {teacher.name!r}: no row of {teacher.origin} (format {teacher.format}, joined on"
            f" {teacher.joined_on}) answers an instruction: {_reasons(count) or 'it is empty'}"
            f"{_told_apart(count, instructions)}"
        )
    if problems := list(count.problems(lost_rows)):
        raise LossyRecordingError(f"teacher {teacher.name!r}, {teacher.origin}: {'; '.join(problems)}")
    return put(lake, RESPONSES, {"teacher": teacher.name}, recording_fingerprint(teacher), rows), count


def recording_fingerprint(teacher: RecordedTeacher) -> str:
    """Changes with the recording's content and how it is read."""
    how = {"engine": teacher.engine, **teacher.reading}
    return fingerprint("responses", VERSION, join=teacher.joined_on, **how, **records_identity(teacher))


def read_recording(
    teacher: RecordedTeacher, count: RecordingCount
) -> Iterator[tuple[str, Conversation, str | None]]:
    """Yield readable records with place and ending. Unreadable records go to the account."""
    for place, record in read_records(teacher):
        count.read += 1
        try:
            if isinstance(record, str):
                raise RecordError(record)
            count.seen.update(record)
            conversation = read_conversation(record, count.layout, ANSWERED)
            if teacher.joined_on == "instruction" and not conversation.user:
                _refuse_unasked(record, count.layout)
        except RecordError as error:
            count.lose(str(error), place)
            continue
        count.unread.add(unread_text(record, count.layout, conversation, answers_count=True))
        yield place, conversation, ending_of(record)


def _refuse_unasked(record: dict[str, Any], layout: Layout) -> None:
    """Raise RecordError if a record that is joined on its instruction has no such column."""
    if "instruction" not in layout.names:
        return
    try:
        layout.column(record, "instruction")
    except RecordError as error:
        raise RecordError(f"{error}; or set 'join: id' to match ids") from None


def _told_apart(count: RecordingCount, instructions: pl.DataFrame) -> str:
    """The first record's question and the study's, side by side, which shows a wrong file or column."""
    if not count.asks or instructions.is_empty():
        return ""
    study = shortened(instructions["turns"][0][0])
    return f". The first record asks {shortened(count.asks)!r}, the study asks {study!r}"


def _reasons(count: RecordingCount) -> str:
    return "; ".join(f"{n} × {reason}" for reason, n in count.unmatched.most_common(5))


def _rows(
    teacher: RecordedTeacher, instructions: pl.DataFrame, count: RecordingCount
) -> Iterator[dict[str, Any]]:
    matching = Matching(instructions)
    samples: Counter[str] = Counter()
    for place, conversation, ending in read_recording(teacher, count):
        try:
            on_id = teacher.joined_on == "id"
            instruction = matching.by_id(conversation) if on_id else matching.by_text(conversation)
        except RecordError as error:
            count.drop(str(error), place)
            count.asks = count.asks or next(iter(conversation.user), "")
            continue
        count.matched += 1
        count.without_system += not on_id and conversation.system is None and instruction.system is not None
        id, said, asked = instruction.instruction_id, conversation.assistant, instruction.turns
        whole = None if len(said) == asked else f"the recording answers {len(said)} of {asked} turns"
        fault = fault_of(ending) or whole
        facts = {
            "source_id": conversation.id if on_id else None,
            "finish_reason": None if fault else ending,
        }
        prompt = instruction.prompt_hash
        yield response_row(teacher.name, id, prompt, samples[id], said[:asked], fault, **facts)
        samples[id] += 1
