"""Account for a source's rows, and refuse a source that loses too many."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from preceptor.evaluation.checkers import CHECKS
from preceptor.instructions.both_sides import BothSides
from preceptor.instructions.merging import Merged
from preceptor.records.layout import Layout
from preceptor.records.unread import Unread
from preceptor.records.unread_count import UnreadCount
from preceptor.study.schema import InstructionSource
from preceptor.text import normalise

SHOWN = 60  # characters of a right answer in a message


class NoInstructionsError(ValueError):
    """A source without a usable row."""


class LossySourceError(ValueError):
    """A source that loses more rows, or more of their text, than the study allows."""


@dataclass(frozen=True)
class RightAnswer:
    """The right answer of one row, its check (None if not stated), and its place."""

    answer: str
    check: str | None
    place: str

    def agrees(self, other: "RightAnswer") -> bool:
        """Whether both accept the same responses. `4` and `4.0` do under the check `number`."""
        if self.check is not None and other.check is not None and self.check != other.check:
            return False
        same = CHECKS.get(self.check or other.check or "")
        return normalise(self.answer) == normalise(other.answer) or (
            same is not None and same(self.answer, other.answer) and same(other.answer, self.answer)
        )

    def __str__(self) -> str:
        """The text for messages."""
        short = self.answer if len(self.answer) <= SHOWN else f"{self.answer[:SHOWN]}…"
        return f"{short!r}{f' by {self.check}' if self.check else ''} ({self.place})"


@dataclass
class RightAnswers:
    """The first right answer of each instruction."""

    first: dict[tuple[str, ...], RightAnswer] = field(default_factory=dict)

    def other_than(self, said: tuple[str, ...], own: RightAnswer) -> RightAnswer | None:
        """The earlier answer that contradicts this one, or None."""
        earlier = self.first.setdefault(said, own)
        return None if earlier.agrees(own) else earlier


@dataclass
class SourceCount:
    """The account of one source's rows: read = kept + all dropped.

    `lost` rows could not be used. `unread` counts rows with text that nothing reads. `merged` counts rows
    that merged with an earlier row although they differ in an unread column. `contradicting` counts rows
    whose right answer differs from that of an earlier row with the same instruction, in any source.
    `showing` counts, by column, rows whose input or system prompt repeats the question and its answer.
    """

    of: InstructionSource
    layout: Layout
    right: RightAnswers = field(default_factory=RightAnswers)
    read: int = 0
    kept: int = 0
    lost: int = 0
    contradicting: int = 0
    contradiction: str = ""  # the first one
    showing: Counter[str] = field(default_factory=Counter)
    shown: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    unread: UnreadCount = field(default_factory=UnreadCount)
    merged: Merged = field(default_factory=Merged)
    both_sides: BothSides = field(default_factory=BothSides)

    @property
    def source(self) -> str:
        """The source's name."""
        return self.of.name

    def drop(self, reason: str, place: str) -> None:
        """Count a dropped row. The first place of each reason is kept as an example."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, place)

    def lose(self, reason: str, place: str) -> None:
        """Count a row that cannot be used."""
        self.lost += 1
        self.drop(reason, place)

    def leave(self, found: list[Unread], place: str) -> None:
        """Count the unread columns with text in a row."""
        self.unread.add(found)
        for unread in found:
            self.examples.setdefault(f"text in {unread.column!r}, which nothing reads", place)

    def show(self, found: dict[str, tuple[str, ...]]) -> None:
        """Count a row's inputs that contain the answer."""
        self.showing.update(found.keys())
        self.shown = {**found, **self.shown}

    def hold(self, said: tuple[str, ...], own: RightAnswer) -> None:
        """Count a row whose right answer contradicts an earlier row with the same instruction."""
        earlier = self.right.other_than(said, own)
        if earlier is not None:
            self.contradicting += 1
            self.contradiction = self.contradiction or f"{earlier} is kept, {own} is not"

    def refuse_empty(self) -> None:
        """Raise NoInstructionsError if no row was usable, not even as a duplicate."""
        if self.read > self.lost:
            return
        raise NoInstructionsError(
            f"instruction source {self.source!r} ({self.of.origin}, format {self.of.format}) has no usable"
            f" row: {self.reasons() or 'it is empty'}"
        )

    def reasons(self) -> str:
        """Why rows could not be used, with the first place of each reason."""
        listed = [(n, r) for r, n in self.dropped.most_common() if "duplicate of a row" not in r]
        return "; ".join(f"{n:,} × {reason} ({self.examples[reason]})" for n, reason in listed[:5])

    def losses(self) -> Iterator[str]:
        """A sentence per kind of loss, however small."""
        if self.lost:
            yield f"{self.lost:,} of {self.read:,} rows cannot be used: {self.reasons()}"
        if self.contradicting:
            yield (
                f"{self.contradicting:,} of {self.read:,} rows contradict the right answer of an earlier row"
                f" with the same instruction: {self.contradiction}"
            )
        for column, count in self.showing.most_common():
            both = " and ".join(map(repr, self.shown[column]))
            yield (
                f"column {column!r} is read and reveals the answer: it repeats {both} in {count:,} of"
                f" {self.read:,} rows; remove it from 'columns' and set 'ignore: [{column}]'"
            )
        yield from self.unread.losses(self.read, self.layout)

    def alike(self, allowed: float) -> Iterator[str]:
        """A sentence if more than the share `allowed` of the rows were dropped as near-duplicates."""
        found = {reason: n for reason, n in self.dropped.items() if reason.startswith("near-duplicate")}
        if (dropped := sum(found.values())) > allowed * self.read:
            first = self.examples[next(iter(found))]
            yield (
                f"{dropped:,} of {self.read:,} rows were dropped as near-duplicates of earlier ones (the"
                f" first is {first}); 'instructions: {{near_duplicate_threshold: null}}' keeps all"
            )

    def merges(self) -> Iterator[str]:
        """A sentence if rows merged that differ in an unread column. A few do in every large file."""
        yield from self.merged.losses(self.read, lambda column: self.unread.cure(column, self.layout))

    def remarks(self) -> Iterator[str]:
        """What is no loss, and worth a look: a sentence each."""
        yield from self.unread.remarks(self.read)
        yield from self.both_sides.told(self.read)

    def largest_loss(self) -> int:
        """The number of rows of the largest kind of loss."""
        showing = max(self.showing.values(), default=0)
        unread = self.unread.lost()[0]
        return max(self.lost, self.contradicting, showing, unread, self.merged.rows, self.both_sides.rows)


def refuse_lossy(counts: Iterable[SourceCount], allowed: float) -> None:
    """Raise LossySourceError if a source loses a larger share than `limits.lost_rows` allows.

    Also if no row has a column that the study names for the source.
    """
    problems = [problem for count in counts for problem in source_problems(count, allowed)]
    if problems:
        raise LossySourceError("\n".join(problems))


def source_problems(count: SourceCount, allowed: float) -> Iterator[str]:
    """A sentence per reason why a source must not be used as it is."""
    origin = f"instruction source {count.source!r} ({count.of.origin}, format {count.of.format})"
    for column in sorted((count.layout.named | count.layout.more) - count.seen):
        yield f"{origin}: no row has the column {column!r} that 'columns' names"
    if count.largest_loss() > allowed * count.read:
        losses = "; ".join((*count.losses(), *count.merges(), *count.both_sides.told(count.read)))
        yield f"{origin} loses more than 'limits.lost_rows' ({allowed:g}) allows: {losses}"
