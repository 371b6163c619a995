"""All of a study's instructions: read, deduplicated, and every dropped row accounted for."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.instructions.formats import Columns, Conversation, RecordError, read_conversation
from preceptor.instructions.near_duplicates import near_duplicates
from preceptor.lake.schemas import RAW_INSTRUCTIONS
from preceptor.records import read_records, records_identity
from preceptor.study.schema import Instructions, InstructionSource
from preceptor.text import digest, normalise, repair

VERSION = 2  # 2: the right answer and its check, where a source knows them


class NoInstructionsError(ValueError):
    """A source of which not one row could be used."""


@dataclass
class SourceCount:
    """What became of one source's rows: read = kept + all dropped."""

    source: str
    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def drop(self, reason: str, place: str) -> None:
        """Count a dropped row; the first place of each reason is kept as its example."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, place)


@dataclass
class Instruction:
    """One instruction on its way to a row of raw_instructions."""

    source: str
    place: str
    conversation: Conversation
    key: str
    source_ids: list[str]
    answer: str | None
    check: str | None


def instructions_fingerprint(instructions: Instructions) -> str:
    """Changes with any source's content, order or format, and with the threshold."""
    sources = [
        {
            "name": source.name,
            "format": source.format,
            "columns": source.columns.model_dump(),
            **records_identity(source),
        }
        for source in instructions.sources
    ]
    return fingerprint(
        "raw_instructions", VERSION, sources=sources, threshold=instructions.near_duplicate_threshold
    )


def collect_instructions(instructions: Instructions) -> tuple[pl.DataFrame, list[SourceCount]]:
    """Return raw_instructions (a row is one instruction) and the account of each source.

    Raises NoInstructionsError for a source without one usable row, naming the reasons.
    """
    counts = {source.name: SourceCount(source.name) for source in instructions.sources}
    kept: dict[str, Instruction] = {}
    for source in instructions.sources:
        for item in _read(source, counts[source.name]):
            if first := kept.get(item.key):
                counts[source.name].drop(f"exact duplicate of a row of {first.source}", item.place)
                first.source_ids += item.source_ids
            else:
                kept[item.key] = item
        _refuse_empty(source, counts[source.name], kept)
    unique = list(kept.values())
    if instructions.near_duplicate_threshold is not None:
        unique = _without_near_duplicates(unique, instructions.near_duplicate_threshold, counts)
    for item in unique:
        counts[item.source].kept += 1
    return _frame(unique), list(counts.values())


def _read(source: InstructionSource, count: SourceCount) -> Iterator[Instruction]:
    columns = Columns(**source.columns.model_dump(exclude={"answer", "check"}))
    for place, row in read_records(source):
        count.read += 1
        try:
            if isinstance(row, str):
                raise RecordError(row)
            conversation = read_conversation(row, source.format, columns)
            if not conversation.user or not all(turn.strip() for turn in conversation.user):
                raise RecordError("an empty instruction")
        except RecordError as error:
            count.drop(str(error), place)
            continue
        key = digest(*(normalise(turn) for turn in (conversation.system or "", *conversation.user)))
        ids = [conversation.id] if conversation.id is not None else []
        answer, check = (_known(row, column) for column in (source.columns.answer, source.columns.check))
        yield Instruction(source.name, place, conversation, key, ids, answer, check)


def _known(row: dict[str, Any], column: str | None) -> str | None:
    return None if column is None or row.get(column) is None else repair(str(row[column]))


def _refuse_empty(source: InstructionSource, count: SourceCount, kept: dict[str, Instruction]) -> None:
    duplicates = sum(n for reason, n in count.dropped.items() if reason.startswith("exact duplicate"))
    if any(item.source == source.name for item in kept.values()) or duplicates:
        return
    reasons = "; ".join(f"{n} × {reason} ({count.examples[reason]})" for reason, n in count.dropped.items())
    raise NoInstructionsError(
        f"instruction source {source.name!r} ({source.origin}, format {source.format}) has no usable row:"
        f" {reasons or 'it is empty'}"
    )


def _without_near_duplicates(
    items: list[Instruction], threshold: float, counts: dict[str, SourceCount]
) -> list[Instruction]:
    texts = [normalise("\n".join((i.conversation.system or "", *i.conversation.user))) for i in items]
    dropped = near_duplicates(texts, threshold)
    for index, duplicate in dropped.items():
        item = items[index]
        counts[item.source].drop(f"near-duplicate of a row of {items[duplicate.of].source}", item.place)
    return [item for index, item in enumerate(items) if index not in dropped]


def _frame(items: list[Instruction]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "instruction_id": [item.key for item in items],
            "source": [item.source for item in items],
            "source_ids": [item.source_ids for item in items],
            "place": [item.place for item in items],
            "system": [item.conversation.system for item in items],
            "turns": [list(item.conversation.user) for item in items],
            "answer": [item.answer for item in items],
            "check": [item.check for item in items],
            "prompt_hash": [
                digest(item.conversation.system or "", *item.conversation.user) for item in items
            ],
        },
        schema=RAW_INSTRUCTIONS.row_schema,
    )
