"""The lake: one Delta table per asset, under a folder or S3 prefix with the study's name.

One commit replaces a whole partition. Other processes read the old rows until then, and old versions stay
readable. Conflicting commits are retried on the newest state.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from preceptor.lake.entry import entry
from preceptor.lake.ledger import HASHED, head_at, record
from preceptor.lake.place import PlaceError, absolute, object_key, s3_filesystem
from preceptor.lake.schemas import Table
from preceptor.lake.table_files import TableFiles
from preceptor.lake.trust import trust

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset, Expression, Fragment
    from pyarrow.fs import FileSystem

log = logging.getLogger(__name__)
ATTEMPTS = 12
# By default Delta deletes log entries after 30 days. An audit may need older ones.
KEEP_HISTORY = {"delta.enableExpiredLogCleanup": "false"}
Partition = Mapping[str, str]


class NotMaterializedError(RuntimeError):
    """A required table is not materialized yet."""


class LakeError(RuntimeError):
    """The store cannot be read or written. The message names the place and the fix."""


class TakenError(RuntimeError):
    """Another writer committed the same transaction first."""


def store_root() -> str:
    """The location of all studies' lakes: PRECEPTOR_STORE, or `store` in the working directory."""
    return os.environ.get("PRECEPTOR_STORE") or "store"


@dataclass(frozen=True)
class PublishedVersion:
    """A published partition: the table's Delta version that holds it, and its rows."""

    version: int
    rows: int


def partition_predicate(partition: Partition) -> str:
    """SQL that selects a partition. Quotes in values are doubled.

    A table without partitions gets `true`, not None: without a predicate, delta-rs treats an overwrite as
    blind, and the rows of two concurrent overwrites would both stay.
    """
    terms = [f"{column} = '{value.replace(chr(39), chr(39) * 2)}'" for column, value in partition.items()]
    return " AND ".join(terms) or "true"


def data_files(delta: DeltaTable, partition: Partition) -> list[str]:
    """The names of the files that hold a partition, or the whole table."""
    where = [(column, "=", value) for column, value in partition.items()]
    return [Path(uri).name for uri in delta.file_uris(file_pruning_predicate=where or None)]


@dataclass(frozen=True)
class Lake:
    """All tables of one study. `root` is a local folder or an `s3://bucket/prefix`.

    Each commit stores `reads`, the versions of the tables that its rows were made from, and `declared`, the
    study's settings of the teacher, model or step that made them. With `checked`, reading a file that differs
    from its hash raises LakeError.
    """

    root: str
    study: str
    reads: Mapping[str, int] = field(default_factory=dict, compare=False)
    declared: Mapping[str, Any] = field(default_factory=dict, compare=False)
    checked: bool = field(default=True, compare=False)

    def made_from(self, reads: Mapping[str, int | None], declared: Mapping[str, Any] | None = None) -> "Lake":
        """The same lake for publishing rows that were made from these table versions."""
        known = {table: version for table, version in reads.items() if version is not None}
        return replace(self, reads=known, declared=declared or {})

    @property
    def remote(self) -> bool:
        """Whether the store is reached over a network."""
        return "://" in self.root

    @cached_property
    def storage_options(self) -> dict[str, str] | None:
        """S3 settings from the AWS_* environment variables, so that no file holds a secret."""
        if not self.remote:
            return None
        return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    @cached_property
    def filesystem(self) -> "FileSystem":
        """Arrow's file system for the store. Raises LakeError for a protocol other than S3."""
        from pyarrow.fs import LocalFileSystem

        if not self.remote:
            return LocalFileSystem()
        if not self.root.startswith("s3://"):
            raise LakeError(f"{self.root}: a store must be a local folder or an s3:// prefix")
        return s3_filesystem(self.storage_options or {})

    @cached_property
    def home(self) -> str:
        """The location of the study's tables and folders. Raises LakeError if it cannot hold tables."""
        try:
            return f"{absolute(self.root)}/{self.study}"
        except PlaceError as error:
            raise LakeError(str(error)) from error

    def uri(self, table: Table) -> str:
        """A table's URI."""
        return f"{self.home}/{table.name}"

    def files(self, table: Table) -> TableFiles:
        """A table's files as bytes."""
        return TableFiles(self.uri(table), self.filesystem if self.remote else None)

    def open(self, table: Table, version: int | None = None, whole_log: bool = False) -> DeltaTable | None:
        """The Delta table at a version (the newest by default), or None if it does not exist yet.

        Raises LakeError if the table cannot be read or a log entry that the version needs was changed. With
        `whole_log` it checks every log entry.
        """
        with self.reading(table):
            if self.checked and (problem := trust(self.files(table)).log_problem(version, whole_log)):
                raise self._changed(table, problem)
            try:
                return DeltaTable(self.uri(table), version=version, storage_options=self.storage_options)
            except TableNotFoundError:
                return None

    def create(self, table: Table) -> DeltaTable:
        """The Delta table, created empty if it does not exist, so that two first writers do not conflict."""
        for attempt in range(ATTEMPTS):
            existing = self.open(table)
            if existing is not None:
                return existing
            try:
                DeltaTable.create(
                    self.uri(table),
                    schema=table.stored.to_frame().to_arrow().schema,
                    mode="ignore",
                    partition_by=list(table.partition_by),
                    configuration=KEEP_HISTORY,
                    storage_options=self.storage_options,
                    commit_properties=CommitProperties(custom_metadata=HASHED),
                )
                self.record(table, 0)
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
        """Rows of a table or of one partition; no rows if the table does not exist yet."""
        delta = self.open(table, version)
        wanted = columns or list(table.schema)
        if delta is None:
            return table.stored.to_frame().select(wanted)
        where = [(column, "=", value) for column, value in (partition or {}).items()]
        with self.reading(table, "a data file of {} cannot be read"):
            self.check_data(table, delta, where)
            dataset = self.dataset(table, delta, where)
            stored = [column for column in wanted if column in dataset.schema.names]
            found = dataset.to_table(columns=stored)
            found.validate(full=True)  # polars assumes that text is valid UTF-8
            rows = pl.from_arrow(found)
        assert isinstance(rows, pl.DataFrame)
        # A table from an older release may lack newer columns.
        rows = rows.with_columns(pl.lit(None).alias(column) for column in wanted if column not in stored)
        return rows.select(pl.col(column).cast(table.stored[column]) for column in wanted)

    def dataset(
        self, table: Table, delta: DeltaTable, where: list[tuple[str, str, str]] | None = None
    ) -> "Dataset":
        """A table's data files as an Arrow dataset, limited to the files of the partition `where`.

        Arrow's file system reads the files instead of delta-rs's, which is written in Python: if an Arrow
        thread releases its last object after the interpreter began to exit, the process aborts (arrow issue
        34314). The dataset also drops the statistics in Delta's log: if they call a column null, Arrow
        returns nulls without reading the file.
        """
        from pyarrow.dataset import FileSystemDataset
        from pyarrow.fs import SubTreeFileSystem

        files = SubTreeFileSystem(object_key(self.uri(table)), self.filesystem)
        found = delta.to_pyarrow_dataset(filesystem=files, file_pruning_predicate=where or None)
        fragments = [
            found.format.make_fragment(fragment.path, files, _partition_alone(table, fragment))
            for fragment in found.get_fragments()
        ]
        return FileSystemDataset(fragments, found.schema, found.format, files)

    def check_data(
        self, table: Table, delta: DeltaTable, where: list[tuple[str, str, str]] | None = None
    ) -> None:
        """Check local data files against their hashes, once per process. S3 has checksums of its own.

        Raises LakeError, which names the first file that differs.
        """
        if self.checked and not self.remote:
            names = data_files(delta, {column: value for column, _, value in where or ()})
            if problem := trust(self.files(table)).data_problem(names):
                raise self._changed(table, problem)

    def existing(self, table: Table, version: int | None = None) -> DeltaTable:
        """The Delta table at a version, the newest by default. Raises NotMaterializedError if none exists."""
        delta = self.open(table, version)
        if delta is None:
            raise NotMaterializedError(f"{table.name} has no rows yet: materialize it first")
        return delta

    def version(self, table: Table) -> int | None:
        """The newest Delta version, or None if the table does not exist yet."""
        delta = self.open(table)
        return None if delta is None else delta.version()

    def versions(self, *tables: Table) -> dict[str, int]:
        """The newest version of each table. Raises NotMaterializedError if one does not exist yet."""
        return {table.name: self.existing(table).version() for table in tables}

    def publish(
        self, table: Table, rows: pl.DataFrame, partition: Partition, fingerprint: str
    ) -> PublishedVersion:
        """Replace a partition with these rows in one commit.

        Raises LakeError for an empty frame (it would silently empty the partition), for repeated keys and for
        a store that cannot be written. Raises UndeclaredColumnError.
        """
        if rows.is_empty():
            raise LakeError(f"refusing to replace {table.name} {dict(partition)} with no rows")
        repeated = rows.height - rows.n_unique(list(table.key))
        if repeated:
            raise LakeError(f"{repeated} rows of {table.name} {dict(partition)} repeat the key {table.key}")
        frame = self._complete(table, rows, partition, fingerprint)
        predicate = partition_predicate(partition)
        metadata = entry(table, frame, partition, fingerprint, self.reads, self._heads(), self.declared)
        origin = CommitProperties(custom_metadata=HASHED | metadata)

        def commit(delta: DeltaTable) -> None:
            # merge: adds columns that a table from an older release lacks
            write_deltalake(
                delta,
                frame,
                mode="overwrite",
                predicate=predicate,
                schema_mode="merge",
                commit_properties=origin,
            )

        return PublishedVersion(self._commit(table, commit), rows.height)

    def append(
        self, table: Table, rows: pl.DataFrame, partition: Partition, fingerprint: str, transaction: str
    ) -> bool:
        """Add rows. Returns False, and adds none, if another writer of the same transaction was first."""
        frame = self._complete(table, rows, partition, fingerprint)
        last = self.create(table).transaction_version(transaction)
        properties = CommitProperties(
            custom_metadata=HASHED,
            app_transactions=[Transaction(transaction, 0 if last is None else last + 1)],
        )

        def commit(delta: DeltaTable) -> None:
            if delta.transaction_version(transaction) != last:
                raise TakenError
            # merge: as in publish
            write_deltalake(delta, frame, mode="append", schema_mode="merge", commit_properties=properties)

        try:
            self._commit(table, commit)
        except TakenError:
            return False
        return True

    def delete(self, table: Table, partition: Partition) -> None:
        """Remove a partition's rows in one commit. Old versions keep them."""
        origin = CommitProperties(custom_metadata=HASHED)
        self._commit(
            table, lambda delta: delta.delete(partition_predicate(partition), commit_properties=origin)
        )

    def _commit(self, table: Table, change: Callable[[DeltaTable], object]) -> int:
        for attempt in range(ATTEMPTS):
            delta = self.create(table)
            try:
                change(delta)
                break
            except CommitFailedError as error:
                log.debug("another writer changed %s first; trying again: %s", table.name, error)
                _wait(attempt)
            except (DeltaError, OSError) as error:
                raise self._unwritable(table, error) from error
        else:
            raise LakeError(
                f"{table.name} at {self.uri(table)}: {ATTEMPTS} commits in a row met conflicting writers"
            )
        self.record(table, delta.version())
        return delta.version()

    def record(self, table: Table, version: int) -> None:
        """Write the hashes of all commits up to a version. Raises LakeError; a later commit tries again."""
        try:
            record(self.files(table), version)
        except OSError as error:
            raise LakeError(
                f"the rows are committed as version {version} of {self.uri(table)}, but their hashes cannot"
                f" be written: {error}. Give the store space and write access, and run again."
            ) from error

    def _heads(self) -> dict[str, str]:
        """The head, a hash of the complete history, of each table read, at the version read."""
        heads = {}
        for name, version in self.reads.items():
            files = TableFiles(f"{self.home}/{name}", self.filesystem if self.remote else None)
            try:
                head = head_at(files, version)
            except OSError as error:
                raise LakeError(f"cannot read the hashes of {files.uri}: {error}") from error
            if head is not None:
                heads[name] = head
        return heads

    def _complete(
        self, table: Table, rows: pl.DataFrame, partition: Partition, fingerprint: str
    ) -> pl.DataFrame:
        """Add the partition, fingerprint and derived columns, and cast the frame to the schema."""
        table.refuse_undeclared(rows.columns)
        if not all(partition.values()):  # Delta would store null, and no read would find the rows
            raise LakeError(f"{table.name} {dict(partition)}: a partition's name must not be empty")
        constants = {**partition, "fingerprint": fingerprint}
        frame = rows.with_columns(pl.lit(value).alias(column) for column, value in constants.items())
        frame = table.with_derived(frame)
        return frame.select(pl.col(name).cast(dtype) for name, dtype in table.stored.items())

    @contextmanager
    def reading(self, table: Table, says: str | None = None) -> Iterator[None]:
        """Turn every error that a library raises on damaged files, a Rust panic included, into a LakeError.

        In `says`, `{}` stands for the table's URI.
        """
        try:
            yield
        except LakeError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            words = says or f"cannot read table {table.name} at {{}}"
            raise LakeError(f"{words.format(self.uri(table))}: {error}") from error

    def _changed(self, table: Table, problem: str) -> LakeError:
        return LakeError(
            f"cannot read table {table.name}: {self.uri(table)}/{problem}."
            " Restore it from a copy of the store. python -m jobs.audit lists everything that is damaged."
        )

    def _unwritable(self, table: Table, error: Exception) -> LakeError:
        return LakeError(
            f"cannot write table {table.name} at {self.uri(table)}: {error}."
            " None of this commit is visible. Set PRECEPTOR_STORE to a place with space and write access."
        )


def _partition_alone(table: Table, fragment: "Fragment") -> "Expression | None":
    """The partition values of a file, without the log's statistics."""
    from pyarrow.dataset import field as column
    from pyarrow.dataset import get_partition_keys

    known = get_partition_keys(fragment.partition_expression)
    terms = [column(name) == known[name] for name in table.partition_by]
    return reduce(and_, terms) if terms else None


def _wait(attempt: int) -> None:
    time.sleep(0.02 * 2 ** min(attempt, 6))
