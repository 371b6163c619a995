"""Count rows with text in unread columns, except for columns that only repeat what is read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from preceptor.records.cure import cure
from preceptor.records.layout import Layout
from preceptor.records.missing_column import ignoring
from preceptor.records.repeats import Around
from preceptor.records.unread import Unread

Cell = tuple[str, Around | None]  # a column, and the words around the texts that it repeats
MOST = 1000  # forms kept; a rendered prompt has a few forms, and any other text has one per row


@dataclass
class UnreadCount:
    """Running counts of rows, by the unread text in them."""

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
        """The number of rows with unread text, in total and by column, without rendered prompts."""
        rendered = self._rendered()
        by_column: Counter[str] = Counter()
        total = 0
        for cells, rows in self.rows.items():
            columns = [cell[0] for cell in cells if cell not in rendered]
            by_column.update(dict.fromkeys(columns, rows))
            total += rows if columns else 0
        return total, by_column

    def losses(self, read: int, layout: Layout) -> Iterator[str]:
        """A sentence per column with its number of rows, and for several columns one about all of them."""
        columns = self.lost()[1]
        for column, count in columns.most_common():
            yield (
                f"column {column!r} contains unread text in {count:,} of {read:,} rows:"
                f" {self.cure(column, layout)}"
            )
        if len(columns) > 1:
            yield f"'{ignoring([*sorted(layout.ignored), *sorted(columns)])}' ignores all of them"

    def cure(self, column: str, layout: Layout) -> str:
        """The settings that read or ignore a column, chosen by its content in most rows."""
        return cure(column, layout, self._repeats(column), 2 * self.listed[column] > self._in(column))

    def remarks(self, read: int) -> Iterator[str]:
        """A sentence per column that is ignored because it repeats what is read."""
        rendered = self._rendered()
        counts: Counter[str] = Counter()
        for cells, rows in self.rows.items():
            counts.update({cell[0]: rows for cell in cells if cell in rendered})
        for column, count in counts.most_common():
            repeats = " and ".join(map(repr, self._repeats(column)))
            yield (
                f"column {column!r} is ignored: in {count:,} of {read:,} rows it repeats {repeats} with the"
                " same words around it"
            )

    def _rendered(self) -> set[tuple[str, Around]]:
        """The most frequent form of each column and the texts that it repeats: the form of a template.

        Most rows of the column must share their form with another row. A few may differ, such as a chat with
        a unique number of turns. If the column had text of its own, no form would fit most rows. Rows that
        fit no template count as lost. A form without words around it is a plain copy.
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
        """The columns whose text this one contains in most of its rows."""
        rows = self._in(column)
        return tuple(name for name, count in self.repeats.get(column, {}).items() if 2 * count > rows)
