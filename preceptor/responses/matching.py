"""Which instruction of the study a recorded answer belongs to: by the source's id, or by what was asked."""

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from preceptor.instructions.identity import conversation_key
from preceptor.records.layout import Conversation, RecordError

NO_WORD = re.compile(r"[\W_]+")
PLAIN_SIGNS = {code: " " for code in range(128) if NO_WORD.fullmatch(chr(code))}
UNKNOWN = "answers no instruction of the study"


class AmbiguousError(RecordError):
    """A record whose text is that of several instructions."""


Key = tuple[str, ...]  # system prompt and user turns, in some form
Found = dict[Hashable, int | None]  # an instruction's number; None where several share a key


@dataclass(frozen=True)
class Asked:
    """An instruction that a record answers; `turns` are counted."""

    instruction_id: str
    prompt_hash: str
    system: str | None
    turns: int


@dataclass(frozen=True)
class Matching:
    """The study's instructions by everything that a record may know of them, indexed where one asks so.

    Rows of raw_instructions, of which ids, system prompt, turns and prompt_hash are read.
    """

    instructions: pl.DataFrame

    @cached_property
    def asked(self) -> list[Asked]:
        """Each row, as whoever finds it needs it."""
        known = self.instructions.select(
            "instruction_id", "prompt_hash", "system", turns=pl.col("turns").list.len()
        )
        return [Asked(*row) for row in known.iter_rows()]

    @cached_property
    def ids(self) -> Found:
        """By the ids that sources gave them."""
        each = enumerate(self.instructions["source_ids"].to_list())
        return _unique((id, number) for number, ids in each for id in set(ids))

    @cached_property
    def whole(self) -> Found:
        """By system prompt and user turns."""
        return _numbered(self._keys)

    @cached_property
    def lines(self) -> Found:
        """The same, whatever its line breaks and blanks."""
        return _numbered(self._lines)

    @cached_property
    def turns(self) -> Found:
        """By user turns alone."""
        return _numbered(map(_without_system, self._lines))

    @cached_property
    def words(self) -> frozenset[Key]:
        """The words of each instruction's turns, which records share that say the same in other signs."""
        return frozenset(map(_words, self._lines))

    @cached_property
    def _keys(self) -> list[Key]:
        said = zip(self.instructions["system"].to_list(), self.instructions["turns"].to_list(), strict=True)
        return [conversation_key(system, turns) for system, turns in said]

    @cached_property
    def _lines(self) -> list[Key]:
        return list(map(_in_one_line, self._keys))

    def by_id(self, record: Conversation) -> Asked:
        """The instruction with the record's id. Raises RecordError where it is not exactly one."""
        if record.id is None:
            raise RecordError("holds no id to join on: name its column as in 'columns: {id: …}'")
        if record.id not in self.ids:
            raise RecordError(UNKNOWN)
        found = self.ids[record.id]
        if found is None:
            raise RecordError("its id belongs to several instructions: join on instruction instead")
        return self.asked[found]

    def by_text(self, record: Conversation) -> Asked:
        """The instruction that says what the record says, up to blanks where that leaves no doubt.

        A record without a system prompt may answer the one instruction that has its turns under some system
        prompt. Raises RecordError where it is not exactly one.
        """
        if not record.user:
            raise RecordError("holds no instruction to join on: set 'join: id'")
        key = conversation_key(record.system, record.user)
        found = self.whole.get(key)
        if found is not None:
            return self.asked[found]
        lines = _in_one_line(key)
        found = self.lines.get(lines)
        if found is not None:
            return self.asked[found]
        turns = _without_system(lines)
        if turns not in self.turns:
            alike = _words(lines) in self.words
            raise RecordError(f"{UNKNOWN}, but for its capitals, quotes or punctuation" if alike else UNKNOWN)
        only = self.turns[turns]
        if record.system is None and only is not None:
            return self.asked[only]
        if record.system is not None:
            raise RecordError(
                "its text is an instruction of the study, but under another system prompt or none"
            )
        raise AmbiguousError(
            "its text is that of several instructions, which differ in their system prompt or blanks: name"
            " the system prompt's column in 'columns.system', or set 'join: id'"
        )


def _in_one_line(key: Key) -> Key:
    return tuple(" ".join(text.split()) for text in key)


def _without_system(key: Key) -> Key:
    return ("", *key[1:])


def _words(lines: Key) -> Key:
    return tuple(_in_words(text.casefold()) for text in lines[1:])


def _in_words(text: str) -> str:
    if text.isascii():  # the same at half the time
        return " ".join(text.translate(PLAIN_SIGNS).split())
    return NO_WORD.sub(" ", text).strip()


def _numbered(keys: Iterable[Hashable]) -> Found:
    return _unique((key, number) for number, key in enumerate(keys))


def _unique(pairs: Iterable[tuple[Hashable, int]]) -> Found:
    found: Found = {}
    for key, number in pairs:
        found[key] = number if found.get(key, number) == number else None
    return found
