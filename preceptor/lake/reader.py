"""How DuckDB reads the lake's files: with its own Parquet reader, which gets access to these files only.

DuckDB's reader skips the files, columns and row groups that a query does not need. PyArrow's scans cannot
skip them when a query compares texts: delta-rs writes texts as string views, and PyArrow has no comparison
for these (duckdb-python issues 187 and 227).

DuckDB's reader takes plain paths. Python opens the files under made-up names in three cases: the path holds
special characters, the store is on S3, or the session must not reach other files. (DuckDB may write to every
path that it may read.)
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
WRITTEN_ONCE = datetime(1970, 1, 1)  # data files never change, so DuckDB's cache of one stays valid


class Shared(io.RawIOBase):
    """A file that several threads read at once. Each thread has its own position.

    DuckDB's threads share one file object. They seek and then read, and another thread may seek in between.
    """

    def __init__(self, file: Placed) -> None:
        super().__init__()
        self._file = file
        self._own = threading.local()
        self._own.place = 0  # the position of the thread that opens the file

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move this thread's position."""
        start = {io.SEEK_SET: 0, io.SEEK_END: self._file.size}
        self._own.place = offset + (self.tell() if whence == io.SEEK_CUR else start[whence])
        return self.tell()

    def tell(self) -> int:
        """This thread's position. Raises AttributeError if the thread has not called `seek` yet."""
        place: int = self._own.place
        return place

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from this thread's position."""
        there = self._file.size - self.tell()
        data = self._file.read(there if size < 0 else min(size, there), self.tell())
        self._own.place += len(data)
        return data

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def close(self) -> None:
        """Close the file for all threads."""
        if not self.closed:
            self._file.close()
        super().close()


class LakeFiles(AbstractFileSystem):  # type: ignore[misc]
    """A read-only file system that holds the data files of attached tables under made-up names."""

    protocol = PROTOCOL
    cachable = False  # one instance per session

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, tuple[TableFiles, str]] = {}

    def add(self, table: Table, files: TableFiles, uris: Iterable[str]) -> list[str]:
        """Make a table's data files readable. Returns their names for DuckDB."""
        names = []
        for uri in uris:
            # Keep the folders below the table: they are its partitions.
            inside = "/".join(uri.split("/")[-1 - len(table.partition_by) :])
            name = f"{PROTOCOL}://{table.name}/{inside}"
            self._places[name] = files, inside
            names.append(name)
        return names

    def open(self, path: str, mode: str = "rb", **_: Any) -> Shared:
        """Open an added file for reading. Raises PermissionError for other files and for writing."""
        files, name = self._place(path if mode == "rb" else "")
        return Shared(files.open(name))

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - the same for all files
        """A constant time of last change, for DuckDB's cache."""
        return WRITTEN_ONCE

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file with exactly this name: names are never patterns. Raises PermissionError for others."""
        self._place(path)
        return [path]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """A file's name and size, which DuckDB asks for before it writes. Raises FileNotFoundError."""
        if path not in self._places:
            raise FileNotFoundError(path)
        return {"name": path, "size": self.size(path), "type": "file"}

    def size(self, path: str) -> int:
        """A file's size in bytes."""
        with self.open(path) as file:
            return file.seek(0, io.SEEK_END)

    def _place(self, path: str) -> tuple[TableFiles, str]:
        if path not in self._places:
            raise PermissionError("file system operations are disabled, except reading the lake's tables")
        return self._places[path]


def stored_rows(table: Table, names: list[str], known: frozenset[str], read: Read = io.FileIO) -> str:
    """SQL that reads a table's files. `known` are the columns that the Delta table has.

    Columns that an older release did not write are null, and derived columns are computed. `read` opens a
    file by its name.
    """
    alike: dict[frozenset[str], list[str]] = {}
    for name in names:
        there = known - _lacking(table, known, name, read)
        alike.setdefault(there, []).append(name)
    return " UNION ALL ".join(_rows(table, some, there) for there, some in alike.items()) or _no_rows(table)


def _lacking(table: Table, known: frozenset[str], name: str, read: Read) -> frozenset[str]:
    """The derived columns that this file lacks, though files of newer releases have them."""
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
    """DuckDB's names for the types of a table's columns."""
    with duckdb.connect() as session:
        empty = session.from_arrow(table.stored.to_frame().to_arrow())
        return {name: str(dtype) for name, dtype in zip(empty.columns, empty.types, strict=True)}


def _parquet(names: Iterable[str]) -> str:
    """DuckDB's Parquet reader over these files. Partition values stay text."""
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    return (
        f"read_parquet([{listed}],"
        " hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
    )
