"""Find the instruction of the study that a recorded answer belongs to, by the source's id or by text."""

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
    """A record whose text matches several instructions."""


Key = tuple[str, ...]  # system prompt and user turns, in some form
Found = dict[Hashable, int | None]  # an instruction's number; None where several share a key


@dataclass(frozen=True)
class Asked:
    """An instruction that a record answers. `turns` is the number of user turns."""

    instruction_id: str
    prompt_hash: str
    system: str | None
    turns: int


@dataclass(frozen=True)
class Matching:
    """The study's instructions, indexed on demand by id and by text.

    `instructions` are rows of raw_instructions; ids, system prompt, turns and prompt_hash are read.
    """

    instructions: pl.DataFrame

    @cached_property
    def asked(self) -> list[Asked]:
        """All rows, with the columns that a match returns."""
        known = self.instructions.select(
            "instruction_id", "prompt_hash", "system", turns=pl.col("turns").list.len()
        )
        return [Asked(*row) for row in known.iter_rows()]

    @cached_property
    def ids(self) -> Found:
        """Instructions by their ids in the sources."""
        each = enumerate(self.instructions["source_ids"].to_list())
        return _unique((id, number) for number, ids in each for id in set(ids))

    @cached_property
    def whole(self) -> Found:
        """Instructions by system prompt and user turns."""
        return _numbered(self._keys)

    @cached_property
    def lines(self) -> Found:
        """Like `whole`, with line breaks and spaces normalised."""
        return _numbered(self._lines)

    @cached_property
    def turns(self) -> Found:
        """Instructions by user turns only."""
        return _numbered(map(_without_system, self._lines))

    @cached_property
    def words(self) -> frozenset[Key]:
        """The words of each instruction's turns, without case, quotes and punctuation."""
        return frozenset(map(_words, self._lines))

    @cached_property
    def _keys(self) -> list[Key]:
        said = zip(self.instructions["system"].to_list(), self.instructions["turns"].to_list(), strict=True)
        return [conversation_key(system, turns) for system, turns in said]

    @cached_property
    def _lines(self) -> list[Key]:
        return list(map(_in_one_line, self._keys))

    def by_id(self, record: Conversation) -> Asked:
        """The instruction with the record's id. Raises RecordError unless there is exactly one."""
        if record.id is None:
            raise RecordError("has no id to join on; name its column as in 'columns: {id: …}'")
        if record.id not in self.ids:
            raise RecordError(UNKNOWN)
        found = self.ids[record.id]
        if found is None:
            raise RecordError("its id belongs to several instructions; set 'join: instruction' instead")
        return self.asked[found]

    def by_text(self, record: Conversation) -> Asked:
        """The instruction with the record's text. Whitespace may differ if the match is unique.

        A record without a system prompt may match the only instruction with its turns, under any system
        prompt. Raises RecordError unless there is exactly one match.
        """
        if not record.user:
            raise RecordError("has no instruction to join on; set 'join: id'")
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
                "its text is an instruction of the study, but with another system prompt or none"
            )
        raise AmbiguousError(
            "its text matches several instructions, which differ in system prompt or whitespace; name the"
            " system prompt's column in 'columns.system', or set 'join: id'"
        )


def _in_one_line(key: Key) -> Key:
    return tuple(" ".join(text.split()) for text in key)


def _without_system(key: Key) -> Key:
    return ("", *key[1:])


def _words(lines: Key) -> Key:
    return tuple(_in_words(text.casefold()) for text in lines[1:])


def _in_words(text: str) -> str:
    if text.isascii():  # same result in half the time
        return " ".join(text.translate(PLAIN_SIGNS).split())
    return NO_WORD.sub(" ", text).strip()


def _numbered(keys: Iterable[Hashable]) -> Found:
    return _unique((key, number) for number, key in enumerate(keys))


def _unique(pairs: Iterable[tuple[Hashable, int]]) -> Found:
    found: Found = {}
    for key, number in pairs:
        found[key] = number if found.get(key, number) == number else None
    return found
