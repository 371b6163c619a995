"""What became of a source's rows, and when it lost too much to go on."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from preceptor.instructions.layout import Layout
from preceptor.instructions.unread import cure, reasons
from preceptor.study.schema import InstructionSource


class NoInstructionsError(ValueError):
    """A source of which not one row could be used."""


class LossySourceError(ValueError):
    """A source that lost more of its rows, or of their text, than the study allows."""


@dataclass
class SourceCount:
    """What became of one source's rows: read = kept + all dropped.

    `lost` of them could not be read; `unread` counts, by column, rows with text that nothing reads, and
    `merged` those that became one with an earlier row though they differ in a column that nothing reads.
    """

    of: InstructionSource
    layout: Layout
    read: int = 0
    kept: int = 0
    lost: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    unread: Counter[str] = field(default_factory=Counter)
    unread_rows: int = 0
    merged: Counter[str] = field(default_factory=Counter)
    merged_rows: int = 0
    besides: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The source's name."""
        return self.of.name

    def drop(self, reason: str, place: str) -> None:
        """Count a dropped row; the first place of each reason is kept as its example."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, place)

    def lose(self, reason: str, place: str) -> None:
        """Count a row that cannot be used."""
        self.lost += 1
        self.drop(reason, place)

    def compare(self, said: tuple[str, ...], beside: dict[str, int]) -> None:
        """Count in which unread columns a row differs from the first of this source that says the same."""
        first = self.besides.setdefault(said, beside)
        differences = [column for column in {**first, **beside} if first.get(column) != beside.get(column)]
        self.merged.update(differences)
        self.merged_rows += bool(differences)

    def leave(self, columns: list[str], place: str) -> None:
        """Count the columns of a row whose text nothing reads."""
        self.unread.update(columns)
        self.unread_rows += bool(columns)
        for column in columns:
            self.examples.setdefault(f"text in {column!r}, which nothing reads", place)

    def refuse_empty(self) -> None:
        """Raise NoInstructionsError where no row was usable, not even as a duplicate."""
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
        yield from reasons(self.unread, self.read, self.layout)

    def merges(self) -> Iterator[str]:
        """A sentence where rows merged that a column tells apart; a few do so in every file of some size."""
        for column, count in self.merged.most_common(1):
            others = [repr(other) for other in self.merged if other != column]
            besides = f"; so it is with {', '.join(others[:8])}" if others else ""
            yield (
                f"{count:,} of {self.read:,} rows differ from an earlier one only in column {column!r}, which"
                f" nothing reads: {cure(column, self.layout)}{besides}"
            )

    def largest_loss(self) -> int:
        """The most rows that one kind of loss takes."""
        return max(self.lost, self.unread_rows, self.merged_rows)


def refuse_lossy(counts: Iterable[SourceCount], allowed: float) -> None:
    """Raise LossySourceError where a source loses a larger share than `limits.lost_rows`.

    Also where it has none of the columns that the study names for it.
    """
    problems = [problem for count in counts for problem in source_problems(count, allowed)]
    if problems:
        raise LossySourceError("\n".join(problems))


def source_problems(count: SourceCount, allowed: float) -> Iterator[str]:
    """Why a source must not be used as it is: a sentence each."""
    origin = f"instruction source {count.source!r} ({count.of.origin}, format {count.of.format})"
    for column in sorted((count.layout.named | count.layout.more) - count.seen):
        yield f"{origin}: no row has the column {column!r} that 'columns' names"
    if count.largest_loss() > allowed * count.read:
        losses = "; ".join((*count.losses(), *count.merges()))
        yield f"{origin} loses more than 'limits.lost_rows' ({allowed:g}) allows: {losses}"
