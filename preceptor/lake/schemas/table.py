"""The definition of a table: its rows, columns, types, key and partitions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

Type = pl.DataType | type[pl.DataType]
TEXTS = pl.List(pl.String)


class UndeclaredColumnError(ValueError):
    """Rows have a column that their table does not declare. It would be lost without a warning."""


@dataclass(frozen=True)
class Derived:
    """A column computed from other columns, stored so that analytics need not read those.

    `of` computes it when rows are written. `sql` is the same for DuckDB, for rows of older releases.
    """

    dtype: Type
    meaning: str
    of: pl.Expr
    sql: str


@dataclass(frozen=True)
class Table:
    """One Delta table. `key` is unique within a partition.

    `columns` lists neither the partition columns nor the fingerprint. Rows are compared and read without
    `derived` columns.
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
        """The partition columns, the row's own columns and the fingerprint."""
        partition = dict.fromkeys(self.partition_by, pl.String)
        return pl.Schema({**partition, **self.row_schema, "fingerprint": pl.String})

    @property
    def stored(self) -> pl.Schema:
        """All stored columns, including derived ones."""
        return pl.Schema({**self.schema, **{name: column.dtype for name, column in self.derived.items()}})

    @property
    def meanings(self) -> dict[str, str]:
        """The meaning of each stored column."""
        own = {name: meaning for name, (_, meaning) in self.columns.items()}
        derived = {name: column.meaning for name, column in self.derived.items()}
        partition = dict.fromkeys(self.partition_by, "partition")
        return {**partition, **own, "fingerprint": "hash of everything that determines the row", **derived}

    def with_derived(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with their derived columns."""
        return rows.with_columns(column.of.alias(name) for name, column in self.derived.items())

    def refuse_undeclared(self, columns: Iterable[str]) -> None:
        """Raise UndeclaredColumnError if this table does not declare one of the columns."""
        if undeclared := sorted(set(columns) - set(self.stored)):
            raise UndeclaredColumnError(
                f"table {self.name} does not declare the columns {', '.join(undeclared)}: add them to the"
                " table in preceptor/lake/schemas, or do not compute them"
            )

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Select the row's own columns, in order, cast to their types. Raises UndeclaredColumnError."""
        self.refuse_undeclared(rows.columns)
        return rows.select(pl.col(name).cast(dtype) for name, dtype in self.row_schema.items())

    def frame(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Rows, as mappings by column, as a frame with `row_schema`. Columns that a row leaves out are null.

        Builds the frame with Arrow: polars makes a series of each list, which takes several times the memory.
        Raises UndeclaredColumnError.
        """
        import pyarrow as pa

        self.refuse_undeclared({name for row in rows for name in row})
        arrow = pl.DataFrame(schema=self.row_schema).to_arrow().schema
        found = pl.from_arrow(pa.Table.from_pylist(rows, schema=arrow))
        assert isinstance(found, pl.DataFrame)
        return found
