"""The lake: one Delta table per asset under a folder or an S3 prefix that carries the study's name.

A partition is replaced whole, in one commit, or not at all. Readers of other processes see the old rows
until then, and old versions stay readable. Conflicting commits are retried on the fresh state.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from pyarrow import ArrowException

from preceptor.lake.entry import entry
from preceptor.lake.place import PlaceError, absolute
from preceptor.lake.s3 import object_key, s3_filesystem
from preceptor.lake.schemas import Table

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset
    from pyarrow.fs import FileSystem

log = logging.getLogger(__name__)
ATTEMPTS = 12
# Delta forgets commits after 30 days by default; an audit may ask for older ones.
KEEP_HISTORY = {"delta.enableExpiredLogCleanup": "false"}
Partition = Mapping[str, str]


class NotMaterializedError(RuntimeError):
    """A table that something needs and that nobody has materialized yet."""


class LakeError(RuntimeError):
    """A store that cannot be read or written; its text says which and what to do."""


def store_root() -> str:
    """Where the lakes of all studies lie: PRECEPTOR_STORE, or the folder `store` here."""
    return os.environ.get("PRECEPTOR_STORE") or "store"


@dataclass(frozen=True)
class Commit:
    """A published partition: the table's Delta version that holds it, and its rows."""

    version: int
    rows: int


def partition_predicate(partition: Partition) -> str:
    """SQL that selects a partition; quotes in values are doubled.

    A table without partitions gets `true`, not None: without a predicate delta-rs takes an overwrite for a
    blind one, and two of them at once both stay.
    """
    terms = [f"{column} = '{value.replace(chr(39), chr(39) * 2)}'" for column, value in partition.items()]
    return " AND ".join(terms) or "true"


@dataclass(frozen=True)
class Lake:
    """All tables of one study. `root` is a local folder or an `s3://bucket/prefix`.

    Each commit keeps `reads` and `declared`: the versions of the tables that its rows were made from, and
    what the study says of their maker.
    """

    root: str
    study: str
    reads: Mapping[str, int] = field(default_factory=dict, compare=False)
    declared: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def made_from(self, reads: Mapping[str, int | None], declared: Mapping[str, Any] | None = None) -> "Lake":
        """The same lake, for publishing rows that were made from these versions."""
        known = {table: version for table, version in reads.items() if version is not None}
        return replace(self, reads=known, declared=declared or {})

    @property
    def remote(self) -> bool:
        """Whether the tables lie behind a network protocol."""
        return "://" in self.root

    @cached_property
    def storage_options(self) -> dict[str, str] | None:
        """S3 settings come from the AWS_* environment variables, so that no secret is in any file."""
        if not self.remote:
            return None
        return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    @cached_property
    def filesystem(self) -> "FileSystem":
        """Arrow's own file system for the store. Raises LakeError for a protocol other than S3."""
        from pyarrow.fs import LocalFileSystem

        if not self.remote:
            return LocalFileSystem()
        if not self.root.startswith("s3://"):
            raise LakeError(f"{self.root}: a store is a local folder or lies under s3://")
        return s3_filesystem(self.storage_options or {})

    @cached_property
    def home(self) -> str:
        """Where all that belongs to the study lies. Raises LakeError for a place that cannot hold tables."""
        try:
            return f"{absolute(self.root)}/{self.study}"
        except PlaceError as error:
            raise LakeError(str(error)) from error

    def uri(self, table: Table) -> str:
        """Where a table lies."""
        return f"{self.home}/{table.name}"

    def open(self, table: Table, version: int | None = None) -> DeltaTable | None:
        """The Delta table at a version (the newest by default), or None where it does not exist yet."""
        try:
            return DeltaTable(self.uri(table), version=version, storage_options=self.storage_options)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise self.unreadable(table, error) from error

    def create(self, table: Table) -> DeltaTable:
        """The Delta table, made empty where it does not exist: two first writers then do not clash."""
        for attempt in range(ATTEMPTS):
            existing = self.open(table)
            if existing is not None:
                return existing
            try:
                DeltaTable.create(
                    self.uri(table),
                    schema=table.schema.to_frame().to_arrow().schema,
                    mode="ignore",
                    partition_by=list(table.partition_by),
                    configuration=KEEP_HISTORY,
                    storage_options=self.storage_options,
                )
            except CommitFailedError:
                _wait(attempt)
            except (DeltaError, OSError) as error:
                raise self._unwritable(table, error) from error
        raise LakeError(f"table {table.name} at {self.uri(table)} could not be created: too many writers")

    def read(
        self,
        table: Table,
        partition: Partition | None = None,
        columns: list[str] | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Rows of a table, or of one partition of it; no rows where it does not exist yet."""
        delta = self.open(table, version)
        wanted = columns or list(table.schema)
        if delta is None:
            return table.schema.to_frame().select(wanted)
        where = [(column, "=", value) for column, value in (partition or {}).items()]
        try:
            dataset = self.dataset(table, delta, where)
            stored = [column for column in wanted if column in dataset.schema.names]
            rows = pl.from_arrow(dataset.to_table(columns=stored))
        except (OSError, ArrowException) as error:
            raise LakeError(f"a data file of {self.uri(table)} cannot be read: {error}") from error
        assert isinstance(rows, pl.DataFrame)
        # A table that an older release made may lack columns: nobody knew them then.
        rows = rows.with_columns(pl.lit(None).alias(column) for column in wanted if column not in stored)
        return rows.select(pl.col(column).cast(table.schema[column]) for column in wanted)

    def dataset(
        self, table: Table, delta: DeltaTable, where: list[tuple[str, str, str]] | None = None
    ) -> "Dataset":
        """A table's data files as Arrow scans them, without the files of other partitions than `where`.

        Arrow's own file system reads them, not delta-rs's, which is Python: where a thread of Arrow lets go
        of its last object after the interpreter's end has begun, the process aborts (arrow issue 34314).
        """
        from pyarrow.fs import SubTreeFileSystem

        files = SubTreeFileSystem(object_key(self.uri(table)), self.filesystem)
        return delta.to_pyarrow_dataset(filesystem=files, file_pruning_predicate=where or None)

    def existing(self, table: Table, version: int | None = None) -> DeltaTable:
        """The Delta table at a version, the newest by default. Raises NotMaterializedError without one."""
        delta = self.open(table, version)
        if delta is None:
            raise NotMaterializedError(f"{table.name} has no rows yet: materialize it first")
        return delta

    def version(self, table: Table) -> int | None:
        """The newest Delta version, or None where the table does not exist yet."""
        delta = self.open(table)
        return None if delta is None else delta.version()

    def versions(self, *tables: Table) -> dict[str, int]:
        """The newest version of each table. Raises NotMaterializedError for one that does not exist yet."""
        return {table.name: self.existing(table).version() for table in tables}

    def publish(self, table: Table, rows: pl.DataFrame, partition: Partition, fingerprint: str) -> Commit:
        """Replace a partition by these rows in one commit.

        Raises LakeError for no rows (they would silently empty the partition) and for repeated keys.
        """
        if rows.is_empty():
            raise LakeError(f"refusing to replace {table.name} {dict(partition)} by no rows at all")
        repeated = rows.height - rows.n_unique(list(table.key))
        if repeated:
            raise LakeError(f"{repeated} rows of {table.name} {dict(partition)} repeat a key {table.key}")
        frame = self._complete(table, rows, partition, fingerprint)
        predicate = partition_predicate(partition)
        said = entry(table, frame, partition, fingerprint, self.reads, self.declared)
        origin = CommitProperties(custom_metadata=said)

        def commit(delta: DeltaTable) -> None:
            # merge: a table that an older release made gets the columns that it lacks.
            write_deltalake(
                delta,
                frame,
                mode="overwrite",
                predicate=predicate,
                schema_mode="merge",
                commit_properties=origin,
            )

        return Commit(self._commit(table, commit), rows.height)

    def append(
        self, table: Table, rows: pl.DataFrame, partition: Partition, fingerprint: str, transaction: str
    ) -> bool:
        """Add rows, unless another writer of the same transaction added any in the meantime (False then)."""
        frame = self._complete(table, rows, partition, fingerprint)
        delta = self.create(table)
        last = delta.transaction_version(transaction)
        properties = CommitProperties(
            app_transactions=[Transaction(transaction, 0 if last is None else last + 1)]
        )
        try:
            # merge: as in publish
            write_deltalake(delta, frame, mode="append", schema_mode="merge", commit_properties=properties)
        except CommitFailedError:
            return False
        except (DeltaError, OSError) as error:
            raise self._unwritable(table, error) from error
        return True

    def delete(self, table: Table, partition: Partition) -> None:
        """Remove a partition's rows in one commit; old versions keep them."""
        self._commit(table, lambda delta: delta.delete(partition_predicate(partition)))

    def _commit(self, table: Table, change: Callable[[DeltaTable], object]) -> int:
        for attempt in range(ATTEMPTS):
            delta = self.create(table)
            try:
                change(delta)
                return delta.version()
            except CommitFailedError as error:
                log.info("another writer changed %s first, trying again: %s", table.name, error)
                _wait(attempt)
            except (DeltaError, OSError) as error:
                raise self._unwritable(table, error) from error
        raise LakeError(f"{table.name} at {self.uri(table)}: {ATTEMPTS} commits in a row met other writers")

    def _complete(
        self, table: Table, rows: pl.DataFrame, partition: Partition, fingerprint: str
    ) -> pl.DataFrame:
        """Add partition and fingerprint, and hold the frame against the schema."""
        if not all(partition.values()):  # Delta would store null, which no read finds
            raise LakeError(f"{table.name} {dict(partition)}: a partition's name is empty")
        constants = {**partition, "fingerprint": fingerprint}
        frame = rows.with_columns(pl.lit(value).alias(column) for column, value in constants.items())
        return frame.select(pl.col(name).cast(dtype) for name, dtype in table.schema.items())

    def unreadable(self, table: Table, error: Exception) -> LakeError:
        """What to raise where a table or its log cannot be read."""
        return LakeError(f"cannot read table {table.name} at {self.uri(table)}: {error}")

    def _unwritable(self, table: Table, error: Exception) -> LakeError:
        return LakeError(
            f"cannot write table {table.name} at {self.uri(table)}: {error}."
            " Nothing of this commit is visible; set PRECEPTOR_STORE to a place with space and write access."
        )


def _wait(attempt: int) -> None:
    time.sleep(0.02 * 2 ** min(attempt, 6))
