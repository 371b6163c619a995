"""Follows a partition upstream: checks its rows' hash, then the partitions that it was made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as parquet
from pyarrow import ArrowException

from preceptor.audit.finding import Finding
from preceptor.audit.rows import altered
from preceptor.fingerprint import Fingerprint
from preceptor.lake.content import content_hash
from preceptor.lake.history import Commit, behind, commit_of, history
from preceptor.lake.ledger import entry_name, head_at
from preceptor.lake.schemas import TABLES, Table
from preceptor.lake.store import Lake, LakeError, Partition

NAMED = 5


@dataclass
class Trail:
    """Follows partitions upstream, each once. `commits` collects the commits on the way."""

    lake: Lake
    commits: list[Commit] = field(default_factory=list)
    _seen: set[tuple[str, str, int | None]] = field(default_factory=set)
    _histories: dict[str, list[Commit]] = field(default_factory=dict)

    def history(self, table: Table) -> list[Commit]:
        """The table's publications, newest first."""
        if table.name not in self._histories:
            self._histories[table.name] = history(self.lake, table)
        return self._histories[table.name]

    def follow(
        self,
        table: Table,
        partition: Partition,
        version: int | None,
        recorded: str | None = None,
        upstream: bool = True,
    ) -> Iterator[Finding]:
        """Check a partition at a version, also against the content hash `recorded` elsewhere."""
        subject = f"{_named(table, partition)} {'now' if version is None else f'at version {version}'}"
        try:
            commit = commit_of(self.history(table), partition, version)
        except LakeError as error:
            yield Finding(subject, str(error), False)
            return
        place = table.name, str(sorted(partition.items())), commit.version if commit else version
        if place in self._seen:
            return
        self._seen.add(place)
        try:
            with self.lake.reading(table, "rows of {} cannot be hashed again"):
                finding = self._checked(table, partition, version, commit, recorded, subject)
        except LakeError as error:
            finding = Finding(subject, str(error), False)
        yield finding
        if commit is not None:
            self.commits.append(commit)
            yield from _settings(commit, subject)
            yield from self._heads(commit, subject)
            if upstream:
                yield from self._upstream(commit)

    def _upstream(self, commit: Commit) -> Iterator[Finding]:
        """Follow the partitions that a commit was made from. Names a table without a record of them."""
        try:
            histories = {name: self.history(TABLES[name]) for name in commit.reads}
        except LakeError as error:
            yield Finding(_named(TABLES[commit.table], commit.partition), f"its origins: {error}", False)
            return
        found = list(behind(commit, histories))
        for dependency, version in found:
            yield from self.follow(TABLES[dependency.table], dependency.partition, version)
        for name in commit.reads.keys() - {dependency.table for dependency, _ in found}:
            yield self._unrecorded(commit, name)

    def _heads(self, commit: Commit, subject: str) -> Iterator[Finding]:
        """Check that the tables that a commit was made from still have the same history."""
        for name, head in commit.heads.items():
            version = commit.reads[name]
            try:
                now = head_at(self.lake.files(TABLES[name]), version)
            except OSError as error:
                yield Finding(subject, f"the hashes of {name} cannot be read: {error}", False)
                continue
            if now != head:
                place = f"{self.lake.uri(TABLES[name])}/{entry_name(version)}"
                says = "is gone" if now is None else f"was replaced: somebody recreated {name}"
                yield Finding(subject, f"it was made from {name}, but {place} {says}", False)

    def _unrecorded(self, commit: Commit, name: str) -> Finding:
        version, newest = commit.reads[name], self.lake.version(TABLES[name])
        subject = f"{name} at version {version}"
        if newest is None or newest < version:
            return Finding(subject, f"is gone, but {commit.table} was made from it", False)
        return Finding(subject, f"no commit records which of its rows {commit.table} was made from", None)

    def _checked(
        self,
        table: Table,
        partition: Partition,
        version: int | None,
        commit: Commit | None,
        recorded: str | None,
        subject: str,
    ) -> Finding:
        try:
            columns = commit.columns if commit else list(table.stored)
            rows = self.lake.read(table, partition, columns, version)
        except LakeError as error:
            damaged = "; ".join(_damaged(self.lake, table, partition, version))
            return Finding(subject, f"{error}" + (f" ({damaged})" if damaged else ""), False)
        if commit is None and recorded is None:
            return Finding(subject, f"{rows.height:,} rows; no commit records their hash", None)
        if commit is None:
            same = recorded in _hashes(table, rows)
            words = "match the manifest" if same else "do not match the manifest"
            return Finding(subject, f"{rows.height:,} rows {words}; their commit is gone", same)
        if recorded not in (None, commit.content):
            return Finding(subject, "its commit and the checkpoint's manifest record different rows", False)
        if content_hash(rows, table.key) != commit.content:
            return Finding(subject, _difference(self.lake, table, partition, version, commit, rows), False)
        return Finding(
            subject, f"{rows.height:,} rows, unchanged since the commit of {commit.time:%Y-%m-%d %H:%M} UTC"
        )


def _hashes(table: Table, rows: pl.DataFrame) -> Iterator[str | None]:
    """The content hash with derived columns, and without them as in older releases."""
    for columns in (table.stored, table.schema):
        yield content_hash(rows.select(list(columns)), table.key)


def _settings(commit: Commit, subject: str) -> Iterator[Finding]:
    if commit.made_of is not None and Fingerprint.of(commit.made_of) != commit.fingerprint:
        yield Finding(subject, f"the settings in its commit do not hash to {commit.fingerprint}", False)


def _difference(
    lake: Lake, table: Table, partition: Partition, version: int | None, commit: Commit, rows: pl.DataFrame
) -> str:
    says = f"{rows.height:,} rows that differ from those committed"
    if rows.height != commit.rows:
        says += f", which were {commit.rows:,}"
    says += "".join(f"; {damage}" for damage in _damaged(lake, table, partition, version))
    files = _files(lake, table, partition, version)
    if files != _files(lake, table, partition, commit.version):
        says += "; a later commit without metadata replaced them"
    if found := altered(table, partition, rows):
        says += f"; altered: {', '.join(found[:NAMED])}"
        says += f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{says}; in {', '.join(files)}"


def _damaged(lake: Lake, table: Table, partition: Partition, version: int | None) -> Iterator[str]:
    """The local files that are gone or damaged. For a remote store, the read's error is the only sign."""
    if lake.remote:
        return
    try:
        sizes = _sizes(lake, table, version)
        files = _files(lake, table, partition, version)
    except LakeError:
        return
    for file in files:
        if not Path(file).exists():
            yield f"{file} is gone"
        elif Path(file).stat().st_size != sizes[Path(file).name]:
            yield f"{file} does not have the size that was committed"
        else:
            try:
                parquet.read_table(file, partitioning=None)
            except (OSError, ArrowException):
                yield f"{file} is damaged"


def _sizes(lake: Lake, table: Table, version: int | None) -> dict[str, int]:
    """The size in bytes of each data file by its name, from Delta's log."""
    delta = lake.open(table, version)
    assert delta is not None
    actions = pl.DataFrame(delta.get_add_actions())
    return {Path(path).name: size for path, size in actions.select("path", "size_bytes").iter_rows()}


def _files(lake: Lake, table: Table, partition: Partition, version: int | None) -> list[str]:
    delta = lake.open(table, version)
    where = [(column, "=", value) for column, value in partition.items()]
    uris = [] if delta is None else delta.file_uris(file_pruning_predicate=where or None)
    return [uri if lake.remote else str(Path(uri)) for uri in uris]


def _named(table: Table, partition: Mapping[str, str]) -> str:
    return f"{table.name} {' × '.join(partition.values())}".strip()
