"""What each commit of a table was made of: kept in the commit itself, and never forgotten."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake.exceptions import DeltaError

from preceptor.fingerprint import Fingerprint
from preceptor.lake.content import content_hash
from preceptor.lake.schemas import Table

if TYPE_CHECKING:
    from preceptor.lake.store import Lake

ENTRY = "preceptor"  # the key of our entry among a commit's metadata


@dataclass(frozen=True)
class Commit:
    """One publication of a partition.

    `made_of` is what the fingerprint is a hash of; `content` hashes the rows' `columns`; `reads` holds the
    versions of the tables that the rows were made from; `declared` what the study said of their maker.
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

    @property
    def settings(self) -> dict[str, Any]:
        """`made_of` as data; nothing where it was not kept."""
        found: dict[str, Any] = json.loads(self.made_of or "{}")
        return found


def entry(
    lake: "Lake", table: Table, frame: pl.DataFrame, partition: Mapping[str, str], fingerprint: str
) -> dict[str, str]:
    """What a commit that publishes this frame says of itself."""
    said = {
        "partition": dict(partition),
        "fingerprint": fingerprint,
        "made_of": fingerprint.made_of if isinstance(fingerprint, Fingerprint) else None,
        "content": content_hash(frame, table.key),
        "columns": frame.columns,
        "rows": frame.height,
        "reads": dict(lake.reads),
        "declared": dict(lake.declared),
    }
    return {ENTRY: json.dumps(said)}


def history(lake: "Lake", table: Table) -> list[Commit]:
    """Every publication of the table's partitions, newest first; none where the table does not exist.

    Raises LakeError where the log cannot be read.
    """
    delta = lake.open(table)
    try:
        entries = [] if delta is None else delta.history()
    except (DeltaError, OSError) as error:
        raise lake.unreadable(table, error) from error
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


def _commit(table: Table, found: dict[str, Any]) -> Commit:
    time = datetime.fromtimestamp(found["timestamp"] / 1000, UTC)
    return Commit(table.name, found["version"], time, **json.loads(found[ENTRY]))
