"""Responses that somebody already has, joined to the study's instructions; nothing unmatched is silent."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.instructions.formats import Columns, Conversation, RecordError, read_conversation
from preceptor.lake.resume import Outcome, put
from preceptor.lake.schemas import RESPONSES
from preceptor.lake.store import Lake
from preceptor.records import read_records, records_identity
from preceptor.responses.rows import response_frame, response_row
from preceptor.study.teachers import RecordedTeacher
from preceptor.text import digest, normalise

VERSION = 1


class NothingMatchedError(ValueError):
    """A recording of which not one row answers an instruction of the study."""


@dataclass
class RecordingCount:
    """What became of a recording's rows: read = matched + all unmatched."""

    read: int = 0
    matched: int = 0
    unmatched: Counter[str] = field(default_factory=Counter)
    places: list[str] = field(default_factory=list)

    def drop(self, reason: str, place: str) -> None:
        """Count a row that answers no instruction, and list its place."""
        self.unmatched[reason] += 1
        self.places.append(f"{place}: {reason}")


def collect_recorded(
    lake: Lake, teacher: RecordedTeacher, instructions: pl.DataFrame
) -> tuple[Outcome, RecordingCount]:
    """Bring the teacher's partition of `responses` to what its recording says.

    A record without a usable response is a row with an `error`. Raises NothingMatchedError.
    """
    count = RecordingCount()
    rows = response_frame(list(_rows(teacher, instructions, count)))
    if rows.is_empty():
        raise NothingMatchedError(
            f"teacher {teacher.name!r}: no row of {teacher.origin} (format {teacher.format}, joined on"
            f" {teacher.joined_on}) answers an instruction: {_reasons(count) or 'it is empty'}"
        )
    return put(lake, RESPONSES, {"teacher": teacher.name}, recording_fingerprint(teacher), rows), count


def recording_fingerprint(teacher: RecordedTeacher) -> str:
    """Changes with the recording's content and how it is read."""
    how = teacher.model_dump(include={"engine", "format", "columns"})
    return fingerprint("responses", VERSION, join=teacher.joined_on, **how, **records_identity(teacher))


def _reasons(count: RecordingCount) -> str:
    return "; ".join(f"{n} × {reason}" for reason, n in count.unmatched.most_common(5))


def _rows(
    teacher: RecordedTeacher, instructions: pl.DataFrame, count: RecordingCount
) -> Iterator[dict[str, Any]]:
    known = {row["instruction_id"]: row for row in instructions.iter_rows(named=True)}
    by_id = _ids(instructions)
    columns = Columns(teacher.columns.instruction, teacher.columns.response, None, teacher.columns.id)
    samples: Counter[str] = Counter()
    for place, record in read_records(teacher):
        count.read += 1
        try:
            if isinstance(record, str):
                raise RecordError(record)
            conversation = read_conversation(record, teacher.format, columns)
            id = _by_id(conversation, by_id) if teacher.joined_on == "id" else _by_text(conversation)
            if id not in known:
                raise RecordError("answers no instruction of the study")
        except RecordError as error:
            count.drop(str(error), place)
            continue
        count.matched += 1
        instruction = known[id]
        turns = conversation.assistant[: len(instruction["turns"])]
        said, asked = len(conversation.assistant), len(instruction["turns"])
        fault = None if said == asked else f"the recording answers {said} of {asked} turns"
        source_id = conversation.id if teacher.joined_on == "id" else None
        prompt = instruction["prompt_hash"]
        yield response_row(teacher.name, id, prompt, samples[id], turns, fault, source_id=source_id)
        samples[id] += 1


def _ids(instructions: pl.DataFrame) -> dict[str, str | None]:
    """Source id → instruction_id; None where several instructions have that id."""
    found: dict[str, str | None] = {}
    pairs = instructions.select("source_ids", "instruction_id").explode("source_ids", empty_as_null=False)
    for source_id, instruction_id in pairs.iter_rows():
        same = found.get(source_id, instruction_id) == instruction_id
        found[source_id] = instruction_id if same else None
    return found


def _by_id(conversation: Conversation, by_id: dict[str, str | None]) -> str:
    if conversation.id is None:
        raise RecordError("holds no id to join on")
    id = by_id.get(conversation.id, "")
    if id is None:
        raise RecordError("its id belongs to several instructions: join on instruction instead")
    return id


def _by_text(conversation: Conversation) -> str:
    if not conversation.user:
        raise RecordError("holds no instruction to join on: set 'join: id'")
    return digest(*(normalise(turn) for turn in (conversation.system or "", *conversation.user)))
