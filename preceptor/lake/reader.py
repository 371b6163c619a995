"""How DuckDB reads the lake's files: by its own Parquet reader, through a door that opens nothing else.

DuckDB's reader leaves out the files, columns and groups of rows that a query does not want. PyArrow's scans
cannot, where a query compares texts: delta-rs writes them as string views, for which PyArrow has no
comparison (duckdb-python issues 187 and 227). It takes plain paths. Where a path will not do, Python opens
the file by a name of its own: for a folder of any name, on S3, and for a session that must reach no file but
the lake's, as DuckDB may write to each path that it may read.
"""

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb
from fsspec import AbstractFileSystem

from preceptor.lake.schemas import Table
from preceptor.lake.table_files import Placed, TableFiles

PROTOCOL = "lake"
Read = Callable[[str], io.RawIOBase]
WRITTEN_ONCE = datetime(1970, 1, 1)  # a data file never changes, so that what is cached of it stays right


class Shared(io.RawIOBase):
    """A file that several threads read at once, each from where it last sought.

    DuckDB's threads share one, and read by a seek and then a read, between which another may seek.
    """

    def __init__(self, file: Placed) -> None:
        super().__init__()
        self._file = file
        self._own = threading.local()
        self._own.place = 0  # of the thread that opens it

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file."""
        behind = {io.SEEK_SET: 0, io.SEEK_END: self._file.size}
        self._own.place = offset + (self.tell() if whence == io.SEEK_CUR else behind[whence])
        return self.tell()

    def tell(self) -> int:
        """Where this thread is. Raises AttributeError for one that has not said where it reads."""
        place: int = self._own.place
        return place

    def read(self, size: int = -1) -> bytes:
        """As many bytes as are there, up to `size`, from where this thread is."""
        there = self._file.size - self.tell()
        data = self._file.read(there if size < 0 else min(size, there), self.tell())
        self._own.place += len(data)
        return data

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close it for all threads."""
        if not self.closed:
            self._file.close()
        super().close()


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files of attached tables under names of their own, for reading alone."""

    protocol = PROTOCOL
    cachable = False  # each session has its own

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, tuple[TableFiles, str]] = {}

    def add(self, table: Table, files: TableFiles, uris: Iterable[str]) -> list[str]:
        """Let a table's data files be read; the names that DuckDB calls them by."""
        names = []
        for uri in uris:
            # What lies above the table says nothing of its rows; below it, folders are its partitions.
            inside = "/".join(uri.split("/")[-1 - len(table.partition_by) :])
            name = f"{PROTOCOL}://{table.name}/{inside}"
            self._places[name] = files, inside
            names.append(name)
        return names

    def open(self, path: str, mode: str = "rb", **_: Any) -> Shared:
        """A file that was added. Raises PermissionError for any other, and for writing."""
        files, name = self._place(path if mode == "rb" else "")
        return Shared(files.open(name))

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - of all alike
        """When it was written, as far as a cache has to know."""
        return WRITTEN_ONCE

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file of that very name, since none is a pattern. Raises PermissionError for any other."""
        self._place(path)
        return [path]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What DuckDB asks before it writes. Raises FileNotFoundError."""
        if path not in self._places:
            raise FileNotFoundError(path)
        return {"name": path, "size": self.size(path), "type": "file"}

    def size(self, path: str) -> int:
        """Bytes of a file."""
        with self.open(path) as file:
            return file.seek(0, io.SEEK_END)

    def _place(self, path: str) -> tuple[TableFiles, str]:
        if path not in self._places:
            raise PermissionError("file system operations are disabled but for reading the lake's tables")
        return self._places[path]


def stored_rows(table: Table, names: list[str], known: frozenset[str], read: Read = io.FileIO) -> str:
    """SQL that gives the rows of a table's files, of which Delta says that they have the `known` columns.

    A column that an older release did not know is null; one that follows from others is worked out. `read`
    opens a file by its name.
    """
    alike: dict[frozenset[str], list[str]] = {}
    for name in names:
        there = known - _lacking(table, known, name, read)
        alike.setdefault(there, []).append(name)
    return " UNION ALL ".join(_rows(table, some, there) for there, some in alike.items()) or _no_rows(table)


def _lacking(table: Table, known: frozenset[str], name: str, read: Read) -> frozenset[str]:
    """Which columns that follow from others a file does not have, though files of a newer release do."""
    kept = known.intersection(table.derived)
    if not kept:
        return frozenset()
    from pyarrow.parquet import read_schema

    with read(name) as file:
        return kept.difference(read_schema(file).names)


def _rows(table: Table, names: list[str], there: frozenset[str]) -> str:
    types = {} if there.issuperset(table.stored) else duckdb_types(table)
    chosen = ", ".join(_column(table, name, there, types) for name in table.stored)
    return f"SELECT {chosen} FROM {_parquet(names)}"


def _column(table: Table, name: str, there: frozenset[str], types: Mapping[str, str]) -> str:
    if name in there:
        return f'"{name}"'
    derived = table.derived.get(name)
    return f'{f"NULL::{types[name]}" if derived is None else derived.sql} AS "{name}"'


def _no_rows(table: Table) -> str:
    columns = (f'NULL::{dtype} AS "{name}"' for name, dtype in duckdb_types(table).items())
    return f"SELECT {', '.join(columns)} WHERE false"


def duckdb_types(table: Table) -> dict[str, str]:
    """What DuckDB calls the types of a table's columns."""
    with duckdb.connect() as session:
        empty = session.from_arrow(table.stored.to_frame().to_arrow())
        return {name: str(dtype) for name, dtype in zip(empty.columns, empty.types, strict=True)}


def _parquet(names: Iterable[str]) -> str:
    """DuckDB's reader over files; partition values stay the text that they are."""
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    return (
        f"read_parquet([{listed}],"
        " hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
    )
