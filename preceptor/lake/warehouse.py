"""Analytics over the lake: in-memory DuckDB, one .sql file per statement, values bound as parameters."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import polars as pl
from deltalake import DeltaTable

from preceptor.lake.reader import PROTOCOL, LakeFiles, stored_rows
from preceptor.lake.schemas import Table
from preceptor.lake.store import Lake, Partition, data_files


class Warehouse:
    """One DuckDB session over fixed versions of the lake's tables, listed in `versions`."""

    def __init__(self, lake: Lake, sql_folder: Path) -> None:
        self.lake = lake
        self.sql_folder = sql_folder
        self.versions: dict[str, int] = {}
        self._session = duckdb.connect()
        # DuckDB parses globs and hive columns in the whole path, and delta-rs quotes the store's part of it.
        self._by_name = lake.remote or quote(lake.home) != lake.home
        self._files = LakeFiles()
        self._session.register_filesystem(self._files)

    def seal(self, temporary: Path) -> None:
        """Restrict later statements to reading the lake's files: no other files, network or settings.

        Data that does not fit into memory spills into `temporary`. From now on files are read under made-up
        names, since COPY may write to every path that DuckDB may read.
        """
        self._by_name = True
        self._session.execute("SET temp_directory = $folder", {"folder": str(temporary)})
        self._session.execute(f"SET allowed_directories = ['{PROTOCOL}://']")
        self._session.execute("SET enable_external_access = false")
        self._session.execute("SET lock_configuration = true")

    def attach(self, *tables: Table, versions: Mapping[str, int] | None = None) -> None:
        """Make tables queryable under their names, at the given versions or else the newest now."""
        for table in tables:
            delta = self.lake.existing(table, (versions or {}).get(table.name))
            self.versions[table.name] = delta.version()
            self.lake.check_data(table, delta)
            known = frozenset(field.name for field in delta.schema().fields)
            with self.lake.reading(table, "a data file of {} cannot be read"):
                rows = self._stored(table, delta.file_uris(), known)
                self._session.execute(f'CREATE OR REPLACE TEMP VIEW "{table.name}" AS {rows}')

    def attach_existing(self, *tables: Table) -> None:
        """Make tables queryable at their newest version now. A table that does not exist yet is empty."""
        for table in tables:
            if self.lake.version(table) is None:
                self.register(table.name, table.stored.to_frame())
            else:
                self.attach(table)

    def files_of(self, places: Iterable[tuple[Table, Partition]]) -> dict[str, list[str]]:
        """Per table, the names of the files that hold these partitions in this session.

        File names are unique, so the names change whenever a row changes.
        """
        found: dict[str, set[str]] = {}
        opened: dict[str, DeltaTable] = {}
        for table, partition in places:
            if table.name not in opened:
                opened[table.name] = self.lake.existing(table, self.versions[table.name])
            names = found.setdefault(table.name, set())
            names.update(data_files(opened[table.name], partition))
        return {table: sorted(names) for table, names in found.items()}

    def register(self, name: str, rows: pl.DataFrame) -> None:
        """Make a frame queryable under a name."""
        self._session.execute(f'DROP VIEW IF EXISTS "{name}"')
        self._session.register(name, rows.to_arrow())

    def view(self, name: str, statement: str) -> None:
        """Create a view from a statement without parameters."""
        self._session.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {self._sql(statement)}')

    def add_columns(self, name: str, source: str, columns: Mapping[str, str]) -> None:
        """Create a view of `source` with added columns, SQL by name. The SQL must not come from users."""
        added = ", ".join(f'{sql} AS "{column}"' for column, sql in columns.items())
        self._session.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT *, {added} FROM "{source}"')

    def keep(self, name: str, statement: str, **parameters: Any) -> None:
        """Run a statement once and keep its rows as a temporary table for later statements."""
        self._session.execute(
            f'CREATE OR REPLACE TEMP TABLE "{name}" AS {self._sql(statement)}', parameters or None
        )

    def query(self, statement: str, **parameters: Any) -> pl.DataFrame:
        """The rows of sql/<statement>.sql, with its $parameters bound."""
        found: pl.DataFrame = self._session.sql(self._sql(statement), params=parameters or None).pl()
        return found

    def rows(self, name: str) -> pl.DataFrame:
        """All rows of a table, view or registered frame."""
        found: pl.DataFrame = self._session.table(name).pl()
        return found

    def _stored(self, table: Table, uris: list[str], known: frozenset[str]) -> str:
        if not self._by_name:
            return stored_rows(table, uris, known)
        names = self._files.add(table, self.lake.files(table), uris)
        return stored_rows(table, names, known, self._files.open)

    def _sql(self, statement: str) -> str:
        return (self.sql_folder / f"{statement}.sql").read_text(encoding="utf-8")
