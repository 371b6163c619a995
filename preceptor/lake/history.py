"""What each commit of a table was made from. The commits record it themselves, and Delta keeps them all."""

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

    - `made_of`: the text that the fingerprint is a hash of.
    - `content`: a hash of the rows' `columns`.
    - `reads`: the versions of the tables that the rows were made from.
    - `heads`: the hash of those tables' complete history; empty in commits of older releases.
    - `declared`: the study's settings of the teacher, model or step that made the rows.
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
        """`made_of` as data; empty if it was not stored."""
        found: dict[str, Any] = json.loads(self.made_of or "{}")
        return found


def history(lake: Lake, table: Table) -> list[Commit]:
    """Every publication of the table's partitions, newest first; empty if the table does not exist.

    Raises LakeError if the log cannot be read.
    """
    with lake.reading(table):
        delta = lake.open(table, whole_log=True)
        entries = [] if delta is None else _entries(delta)
        return [_commit(table, found) for found in entries if ENTRY in found]


def commit_of(
    commits: list[Commit], partition: Mapping[str, str], version: int | None = None
) -> Commit | None:
    """The publication that wrote a partition's rows as of a version (the newest by default)."""
    for commit in commits:
        if commit.partition == dict(partition) and (version is None or commit.version <= version):
            return commit
    return None


def behind(commit: Commit, histories: Mapping[str, list[Commit]]) -> Iterator[tuple[Commit, int]]:
    """The publications that a commit's rows were made from, each with the table version that was read.

    If a table shares a partition column (teacher, run, …) with the commit, only the publications with the
    commit's own value count.
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

    deltalake also lists commits that others made after it loaded the table, but it numbers the list down from
    the version that it loaded (delta-rs issue 4488). So the numbers are right only without such commits.
    """
    for _ in range(ATTEMPTS):
        loaded = delta.version()
        entries = delta.history()
        delta.update_incremental()
        if delta.version() == loaded:
            return entries
    raise DeltaError(f"other writers committed during each of {ATTEMPTS} attempts to read its log")


def _commit(table: Table, found: dict[str, Any]) -> Commit:
    time = datetime.fromtimestamp(found["timestamp"] / 1000, UTC)
    return Commit(table.name, found["version"], time, **json.loads(found[ENTRY]))
