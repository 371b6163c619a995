"""What a table is: its rows, their columns and types, its key and its partitions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

Type = pl.DataType | type[pl.DataType]
TEXTS = pl.List(pl.String)


class UndeclaredColumnError(ValueError):
    """Rows with a column that their table does not declare: it would be lost in silence."""


@dataclass(frozen=True)
class Derived:
    """A column that follows from a row's others, kept so that analytics need not read those.

    `of` makes it as rows are written; `sql` is the same to DuckDB, for rows that an older release wrote.
    """

    dtype: Type
    meaning: str
    of: pl.Expr
    sql: str


@dataclass(frozen=True)
class Table:
    """One Delta table. `key` is unique in a partition; `columns` are without partition and fingerprint.

    `derived` columns are no part of what a row says: rows are compared and read without them.
    """

    name: str
    row: str
    partition_by: tuple[str, ...]
    key: tuple[str, ...]
    columns: dict[str, tuple[Type, str]]  # name → type and meaning
    derived: dict[str, Derived] = field(default_factory=dict, compare=False)

    @property
    def row_schema(self) -> dict[str, Type]:
        """The row's own columns and their types."""
        return {name: dtype for name, (dtype, _) in self.columns.items()}

    @property
    def schema(self) -> pl.Schema:
        """Partition columns, the row's own, and the fingerprint."""
        partition = dict.fromkeys(self.partition_by, pl.String)
        return pl.Schema({**partition, **self.row_schema, "fingerprint": pl.String})

    @property
    def stored(self) -> pl.Schema:
        """All columns as stored: derived ones too."""
        return pl.Schema({**self.schema, **{name: column.dtype for name, column in self.derived.items()}})

    @property
    def meanings(self) -> dict[str, str]:
        """What each stored column means."""
        own = {name: meaning for name, (_, meaning) in self.columns.items()}
        derived = {name: column.meaning for name, column in self.derived.items()}
        partition = dict.fromkeys(self.partition_by, "partition")
        return {**partition, **own, "fingerprint": "over all that would change the row", **derived}

    def with_derived(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the columns that follow from their others."""
        return rows.with_columns(column.of.alias(name) for name, column in self.derived.items())

    def refuse_undeclared(self, columns: Iterable[str]) -> None:
        """Raise UndeclaredColumnError where a column is none of this table's."""
        if undeclared := sorted(set(columns) - set(self.stored)):
            raise UndeclaredColumnError(
                f"table {self.name} declares no column {', '.join(undeclared)}: add it to the table's columns"
                " in preceptor/lake/schemas, or do not compute it"
            )

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The row's own columns, in order and in their types. Raises UndeclaredColumnError."""
        self.refuse_undeclared(rows.columns)
        return rows.select(pl.col(name).cast(dtype) for name, dtype in self.row_schema.items())

    def frame(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Rows, by column, as a frame in `row_schema`; what a row leaves out is null.

        By way of Arrow: polars itself makes a series of each list, at several times the memory.
        Raises UndeclaredColumnError.
        """
        import pyarrow as pa

        self.refuse_undeclared({name for row in rows for name in row})
        arrow = pl.DataFrame(schema=self.row_schema).to_arrow().schema
        found = pl.from_arrow(pa.Table.from_pylist(rows, schema=arrow))
        assert isinstance(found, pl.DataFrame)
        return found
