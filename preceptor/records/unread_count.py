"""In how many rows columns hold text that nothing reads, but for those that only repeat what is read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from preceptor.records.cure import cure
from preceptor.records.layout import Layout
from preceptor.records.missing_column import ignoring
from preceptor.records.repeats import Around
from preceptor.records.unread import Unread

Cell = tuple[str, Around | None]  # a column, and what stands around the texts that it repeats
MOST = 1000  # forms of what stands around: a rendered prompt has a few, and any other text one a row


@dataclass
class UnreadCount:
    """Rows by the text in them that nothing reads, as they come."""

    rows: Counter[tuple[Cell, ...]] = field(default_factory=Counter)
    forms: set[Cell] = field(default_factory=set)
    repeats: dict[str, Counter[str]] = field(default_factory=dict)
    listed: Counter[str] = field(default_factory=Counter)

    def add(self, found: list[Unread]) -> None:
        """Count a row."""
        if found:
            self.rows[tuple(map(self._cell, found))] += 1
        for unread in found:
            self.repeats.setdefault(unread.column, Counter()).update(unread.repeats)
            self.listed[unread.column] += unread.listed

    def _cell(self, unread: Unread) -> Cell:
        cell = unread.column, unread.around
        if unread.around is not None and cell not in self.forms:
            if len(self.forms) >= MOST:
                return unread.column, None
            self.forms.add(cell)
        return cell

    def lost(self) -> tuple[int, Counter[str]]:
        """How many rows hold such text, and how many by column; rendered prompts are none."""
        rendered = self._rendered()
        by_column: Counter[str] = Counter()
        total = 0
        for cells, rows in self.rows.items():
            columns = [cell[0] for cell in cells if cell not in rendered]
            by_column.update(dict.fromkeys(columns, rows))
            total += rows if columns else 0
        return total, by_column

    def losses(self, read: int, layout: Layout) -> Iterator[str]:
        """A sentence per column with the number of rows in which it holds text; of several one for all."""
        columns = self.lost()[1]
        for column, count in columns.most_common():
            yield f"column {column!r} holds text in {count:,} of {read:,} rows: {self.cure(column, layout)}"
        if len(columns) > 1:
            yield f"'{ignoring([*sorted(layout.ignored), *sorted(columns)])}' leaves out all of them"

    def cure(self, column: str, layout: Layout) -> str:
        """Which settings read a column, or leave it out, by what it holds in most rows."""
        return cure(column, layout, self._repeats(column), 2 * self.listed[column] > self._in(column))

    def remarks(self, read: int) -> Iterator[str]:
        """A sentence per column that is left out because it repeats what is read."""
        rendered = self._rendered()
        counts: Counter[str] = Counter()
        for cells, rows in self.rows.items():
            counts.update({cell[0]: rows for cell in cells if cell in rendered})
        for column, count in counts.most_common():
            repeats = " and ".join(map(repr, self._repeats(column)))
            yield (
                f"column {column!r} is left out: in {count:,} of {read:,} rows it is {repeats} again, with"
                " the same words around"
            )

    def _rendered(self) -> set[tuple[str, Around]]:
        """Of each column and the texts that it repeats the most frequent form: a template's.

        Only where most rows of the column share their form with another row, so that a chat of as many turns
        as no other has may stand alone. Were something of a row's own in it, no form would fit most rows; and
        rows that no template fits count as lost. A form without words around is a copy by itself.
        """
        forms: Counter[tuple[str, Around]] = Counter()
        for cells, rows in self.rows.items():
            forms.update({(column, form): rows for column, form in cells if form is not None})
        found: dict[tuple[str, tuple[str, ...]], tuple[str, Around]] = {}
        shared: Counter[str] = Counter()
        for (column, form), rows in forms.most_common():
            cell = found.setdefault((column, form.columns), (column, form))
            if cell == (column, form) and (rows > 1 or form.bare):
                shared[column] += rows
        return {cell for cell in found.values() if 2 * shared[cell[0]] > self._in(cell[0])}

    def _in(self, column: str) -> int:
        return sum(rows for cells, rows in self.rows.items() if column in dict(cells))

    def _repeats(self, column: str) -> tuple[str, ...]:
        """The columns whose text it holds in most of its rows, which may also be the one or the other."""
        rows = self._in(column)
        return tuple(name for name, count in self.repeats.get(column, {}).items() if 2 * count > rows)
