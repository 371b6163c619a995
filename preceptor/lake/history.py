"""What each commit of a table was made of, as the commits themselves say: never forgotten."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from preceptor.lake.entry import ENTRY
from preceptor.lake.schemas import Table
from preceptor.lake.store import ATTEMPTS, Lake


@dataclass(frozen=True)
class Commit:
    """One publication of a partition.

    `made_of` is what the fingerprint is a hash of; `content` hashes the rows' `columns`; `reads` holds the
    versions of the tables that the rows were made from, `heads` what their whole past hashed to (none in
    commits of an older release); `declared` what the study said of their maker.
    """

    table: str
    version: int
    time: datetime
    partition: dict[str, str]
    fingerprint: str
    made_of: str | None
    content: str
    columns: list[str]
    rows: int
    reads: dict[str, int]
    declared: dict[str, Any]
    heads: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """`made_of` as data; nothing where it was not kept."""
        found: dict[str, Any] = json.loads(self.made_of or "{}")
        return found


def history(lake: Lake, table: Table) -> list[Commit]:
    """Every publication of the table's partitions, newest first; none where the table does not exist.

    Raises LakeError where the log cannot be read.
    """
    with lake.reading(table):
        delta = lake.open(table, whole_log=True)
        entries = [] if delta is None else _entries(delta)
        return [_commit(table, found) for found in entries if ENTRY in found]


def commit_of(
    commits: list[Commit], partition: Mapping[str, str], version: int | None = None
) -> Commit | None:
    """The publication that a partition's rows at a version (the newest by default) come from."""
    for commit in commits:
        if commit.partition == dict(partition) and (version is None or commit.version <= version):
            return commit
    return None


def behind(commit: Commit, histories: Mapping[str, list[Commit]]) -> Iterator[tuple[Commit, int]]:
    """The publications that a commit's rows may come from, each with the table's version that was read.

    Of a table that has a teacher, run … in common with the commit's partition, only that teacher's.
    """
    for table, version in commit.reads.items():
        seen = set()
        for found in histories[table]:  # newest first
            place = str(sorted(found.partition.items()))
            common = found.partition.keys() & commit.partition.keys()
            if found.version <= version and place not in seen:
                seen.add(place)
                if all(found.partition[key] == commit.partition[key] for key in common):
                    yield found, version


def _entries(delta: DeltaTable) -> list[dict[str, Any]]:
    """Every commit in the log, newest first, each with its version.

    deltalake lists what others have committed since it loaded the table, but counts the versions down from
    the one that it loaded (delta-rs issue 4488): they are right only where nobody did.
    """
    for _ in range(ATTEMPTS):
        loaded = delta.version()
        entries = delta.history()
        delta.update_incremental()
        if delta.version() == loaded:
            return entries
    raise DeltaError(f"others committed during each of {ATTEMPTS} readings of its log")


def _commit(table: Table, found: dict[str, Any]) -> Commit:
    time = datetime.fromtimestamp(found["timestamp"] / 1000, UTC)
    return Commit(table.name, found["version"], time, **json.loads(found[ENTRY]))
