"""Collect all of a study's instructions: read, deduplicate, and account for every dropped row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.instructions.account import RightAnswer, RightAnswers, SourceCount
from preceptor.instructions.identity import conversation_key, first_id, further_id
from preceptor.instructions.merging import told_apart_by
from preceptor.instructions.near_duplicates import comparable, near_duplicates
from preceptor.lake.schemas import RAW_INSTRUCTIONS
from preceptor.records import read_records, records_identity
from preceptor.records.formats import read_conversation
from preceptor.records.layout import Conversation, Layout, RecordError, layout_of
from preceptor.records.repeats import showing
from preceptor.records.unread import unread_text
from preceptor.study.schema import Instructions, InstructionSource
from preceptor.text import digest, written

VERSION = 5  # 4: lists of plain turns are read, right answers of later copies too; 5: unseen marks count not

ROWS_AT_ONCE = 10_000


@dataclass(slots=True)
class Instruction:
    """One instruction before it becomes a row of raw_instructions. Equal texts have equal keys."""

    source: str
    place: str
    conversation: Conversation
    key: tuple[str, ...]
    source_ids: list[str]
    answer: str | None
    check: str | None
    id: str = ""


def instructions_fingerprint(instructions: Instructions) -> str:
    """Changes with any source's content, order or format, and with the threshold."""
    sources = [
        {
            "name": source.name,
            **source.reading,
            "columns": source.columns.model_dump(exclude_none=True),
            **records_identity(source),
        }
        for source in instructions.sources
    ]
    return fingerprint(
        "raw_instructions", VERSION, sources=sources, threshold=instructions.near_duplicate_threshold
    )


def collect_instructions(instructions: Instructions) -> tuple[pl.DataFrame, list[SourceCount]]:
    """Return raw_instructions (one row per instruction) and the account of each source.

    Raises NoInstructionsError, with the reasons, for a source without a usable row. `refuse_lossy` checks how
    much a source loses.
    """
    right = RightAnswers()
    counts = {s.name: SourceCount(s, layout_of_source(s), right) for s in instructions.sources}
    kept: dict[tuple[str, ...], Instruction] = {}
    taken: set[str] = set()
    for source in instructions.sources:
        count = counts[source.name]
        for item in read_source(source, count):
            if first := kept.get(item.key):
                count.drop(f"exact duplicate of a row of {first.source}", item.place)
                _complete(first, item)
            else:
                item.id = _new_id(item.conversation, taken)
                taken.add(item.id)
                kept[item.key] = item
        count.refuse_empty()
    unique = list(kept.values())
    if instructions.near_duplicate_threshold is not None:
        unique = _without_near_duplicates(unique, instructions.near_duplicate_threshold, counts)
    for item in unique:
        counts[item.source].kept += 1
    return _frame(unique), list(counts.values())


def layout_of_source(source: InstructionSource) -> Layout:
    """The layout of a source's rows. Columns of right answers and their checks count as read."""
    return layout_of(source, (source.columns.answer, source.columns.check))


def read_source(source: InstructionSource, count: SourceCount) -> Iterator[Instruction]:
    """Yield the usable instructions of a source. All other rows go to its account."""
    for place, row in read_records(source):
        count.read += 1
        try:
            if isinstance(row, str):
                raise RecordError(row)
            count.seen.update(row)
            conversation = read_conversation(row, count.layout)
            if not conversation.user or not all(turn.strip() for turn in conversation.user):
                raise RecordError("an empty instruction")
        except RecordError as error:
            count.lose(str(error), place)
            continue
        count.leave(unread_text(row, count.layout, conversation, answers_count=False), place)
        count.show(showing(row, count.layout, conversation))
        count.both_sides.look(conversation.user, place)
        ids = [conversation.id] if conversation.id is not None else []
        answer, check = (_known(row, column) for column in (source.columns.answer, source.columns.check))
        key = conversation_key(conversation.system, conversation.user)
        count.merged.compare(key, told_apart_by(row, count.layout, conversation))
        if answer is not None:
            count.hold(key, RightAnswer(answer, check, place))
        yield Instruction(source.name, place, conversation, key, ids, answer, check)


def _complete(first: Instruction, copy: Instruction) -> None:
    """Add to the first of two equal instructions what only the copy knows."""
    first.source_ids += copy.source_ids
    if first.answer is None:
        first.answer, first.check = copy.answer, copy.check


def _new_id(conversation: Conversation, taken: set[str]) -> str:
    id = first_id(conversation.system, conversation.user)
    return further_id(conversation.system, conversation.user) if id in taken else id


def _known(row: dict[str, Any], column: str | None) -> str | None:
    return None if column is None or row.get(column) is None else written(row[column])


def _without_near_duplicates(
    items: list[Instruction], threshold: float, counts: dict[str, SourceCount]
) -> list[Instruction]:
    texts = [comparable("\n".join((i.conversation.system or "", *i.conversation.user))) for i in items]
    dropped = near_duplicates(texts, threshold)
    for index, duplicate in dropped.items():
        item = items[index]
        counts[item.source].drop(f"near-duplicate of a row of {items[duplicate.of].source}", item.place)
    return [item for index, item in enumerate(items) if index not in dropped]


def _frame(items: list[Instruction]) -> pl.DataFrame:
    """Convert a slice at a time, because dictionaries of all rows take too much memory."""
    slices = (items[start : start + ROWS_AT_ONCE] for start in range(0, len(items), ROWS_AT_ONCE))
    return pl.concat([RAW_INSTRUCTIONS.frame([]), *map(_rows, slices)])


def _rows(items: list[Instruction]) -> pl.DataFrame:
    return RAW_INSTRUCTIONS.frame(
        [
            {
                "instruction_id": item.id,
                "source": item.source,
                "source_ids": item.source_ids,
                "place": item.place,
                "system": item.conversation.system,
                "turns": item.conversation.user,
                "answer": item.answer,
                "check": item.check,
                "prompt_hash": digest(item.conversation.system or "", *item.conversation.user),
            }
            for item in items
        ]
    )
