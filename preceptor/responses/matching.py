"""Which instruction of the study a recorded answer belongs to: by the source's id, or by what was asked."""

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from preceptor.instructions.conversation import Conversation
from preceptor.instructions.identity import conversation_key
from preceptor.instructions.layout import RecordError
from preceptor.text import in_one_line, normalise

UNUSED = ["place", "source", "answer", "check"]
Instruction = dict[str, Any]  # a row of raw_instructions, without these
NO_WORD = re.compile(r"[\W_]+")
UNKNOWN = "answers no instruction of the study"


class AmbiguousError(RecordError):
    """A record whose text is that of several instructions."""


Found = dict[Hashable, Instruction | None]  # None where several instructions share a key


@dataclass(frozen=True)
class Matching:
    """The study's instructions by everything that a record may know of them, indexed where one asks so."""

    rows: list[Instruction]

    @classmethod
    def of(cls, instructions: pl.DataFrame) -> "Matching":
        """Of raw_instructions."""
        return cls(instructions.drop(UNUSED, strict=False).to_dicts())

    @cached_property
    def ids(self) -> Found:
        """By the ids that sources gave them."""
        return _unique((id, row) for row in self.rows for id in set(row["source_ids"]))

    @cached_property
    def whole(self) -> Found:
        """By system prompt and user turns."""
        return _unique((conversation_key(row["system"], row["turns"]), row) for row in self.rows)

    @cached_property
    def lines(self) -> Found:
        """The same, whatever its line breaks and blanks."""
        return _unique((_lines(row["system"], row["turns"]), row) for row in self.rows)

    @cached_property
    def turns(self) -> Found:
        """By user turns alone."""
        return _unique((_lines(None, row["turns"]), row) for row in self.rows)

    @cached_property
    def words(self) -> frozenset[tuple[str, ...]]:
        """The words of each instruction's turns, which records share that say the same in other signs."""
        return frozenset(_words(row["turns"]) for row in self.rows)

    def by_id(self, record: Conversation) -> Instruction:
        """The instruction with the record's id. Raises RecordError where it is not exactly one."""
        if record.id is None:
            raise RecordError("holds no id to join on: name its column as in 'columns: {id: …}'")
        if record.id not in self.ids:
            raise RecordError(UNKNOWN)
        found = self.ids[record.id]
        if found is None:
            raise RecordError("its id belongs to several instructions: join on instruction instead")
        return found

    def by_text(self, record: Conversation) -> Instruction:
        """The instruction that says what the record says, up to blanks where that leaves no doubt.

        A record without a system prompt may answer the one instruction that has its turns under some system
        prompt. Raises RecordError where it is not exactly one.
        """
        if not record.user:
            raise RecordError("holds no instruction to join on: set 'join: id'")
        exact = self.whole.get(conversation_key(record.system, record.user))
        found = exact or self.lines.get(_lines(record.system, record.user))
        if found is not None:
            return found
        turns = _lines(None, record.user)
        if turns not in self.turns:
            alike = _words(record.user) in self.words
            raise RecordError(f"{UNKNOWN}, but for its capitals, quotes or punctuation" if alike else UNKNOWN)
        only = self.turns[turns]
        if record.system is None and only is not None:
            return only
        if record.system is not None:
            raise RecordError(
                "its text is an instruction of the study, but under another system prompt or none"
            )
        raise AmbiguousError(
            "its text is that of several instructions, which differ in their system prompt or blanks: name"
            " the system prompt's column in 'columns.system', or set 'join: id'"
        )


def _lines(system: str | None, turns: Iterable[str]) -> tuple[str, ...]:
    return tuple(in_one_line(turn) for turn in (system or "", *turns))


def _words(turns: Iterable[str]) -> tuple[str, ...]:
    return tuple(NO_WORD.sub(" ", normalise(turn).casefold()).strip() for turn in turns)


def _unique(pairs: Iterable[tuple[Hashable, Instruction]]) -> Found:
    found: Found = {}
    for key, row in pairs:
        same = key not in found or (
            found[key] is not None and found[key]["instruction_id"] == row["instruction_id"]  # type: ignore[index]
        )
        found[key] = row if same else None
    return found
