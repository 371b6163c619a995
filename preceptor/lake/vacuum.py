"""Remove data files that no current row, no existing checkpoint and no ranking needs.

Delta's own vacuum keeps or drops whole table versions. Here nearly every version is the input of some
partition, so this vacuum decides per file: it keeps a file if the history of its partition needs it. The log
stays complete.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deltalake.exceptions import DeltaError

from preceptor.lake.folders import MANIFEST, file_sizes, published, read_manifest, remove_file
from preceptor.lake.history import Commit, behind, commit_of, history
from preceptor.lake.schemas import CAR_TABLE, TABLES, TUNED_CHECKPOINT, Table
from preceptor.lake.store import Lake, LakeError

CHECKPOINTS = "checkpoints"
Histories = dict[str, list[Commit]]
Key = frozenset[tuple[str, str]]
Place = tuple[str, Key, int]  # table, partition (empty: all of it), version


@dataclass(frozen=True)
class Removal:
    """Unneeded files of one table: their paths in the table, and their total size in bytes."""

    table: str
    files: tuple[str, ...]
    bytes: int


def vacuum(lake: Lake, retention_hours: int, dry_run: bool = True) -> list[Removal]:
    """Remove, or with `dry_run` only list, unneeded files older than the retention time.

    These are files that left the tables, or that never became part of one. Raises LakeError if a manifest or
    a log cannot be read, since it is then unknown which files are needed.
    """
    needed = needed_files(lake)
    found = []
    for table in (*TABLES.values(), *(replace(t, name=f"_staging/{t.name}") for t in TABLES.values())):
        removal = _removal(lake, table, needed, retention_hours)
        if removal.files and not dry_run:
            for file in removal.files:
                remove_file(lake, f"{lake.uri(table)}/{file}")
        if removal.files:
            found.append(removal)
    return found


def needed_files(lake: Lake) -> set[str]:
    """Names of the data files that an existing checkpoint, a current row or a ranking needs.

    All rankings are kept for comparison. An old ranking's inputs are kept only if a model needs them.
    """
    histories = {name: history(lake, table) for name, table in TABLES.items()}
    places = set(_of_manifests(lake))
    places |= {(commit.table, _key(commit), commit.version) for commit in histories[CAR_TABLE.name]}
    wanted = [*_named(places, histories), *_of_today(histories)]
    followed: set[tuple[str, int]] = set()
    while wanted:
        commit = wanted.pop()
        places.add((commit.table, _key(commit), commit.version))
        # A model's inputs are named by the manifest in its folder, if the folder still exists.
        if commit.table != TUNED_CHECKPOINT.name and (commit.table, commit.version) not in followed:
            followed.add((commit.table, commit.version))
            found = [dependency for dependency, _ in behind(commit, histories)]
            wanted += found
            unsaid = commit.reads.keys() - {dependency.table for dependency in found}
            places |= {(name, frozenset(), commit.reads[name]) for name in unsaid}
    return {file for place in places for file in _files(lake, *place)}


def _key(commit: Commit) -> Key:
    return frozenset(commit.partition.items())


def _of_manifests(lake: Lake) -> Iterator[Place]:
    for uri in published(lake, CHECKPOINTS):
        try:
            origins = json.loads(read_manifest(lake, uri) or "")["origins"]["partitions"]
            for origin in origins:
                yield origin["table"], frozenset(origin["partition"].items()), origin["version"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LakeError(
                f"{uri}/{MANIFEST} does not name the model's inputs ({type(error).__name__}: {error}):"
                " repair it, or remove the folder if you do not need its model"
            ) from error


def _named(places: set[Place], histories: Histories) -> Iterator[Commit]:
    """The publications that wrote these partitions, without rankings."""
    for table, partition, version in places:
        commit = commit_of(histories[table], dict(partition), version)
        if commit is not None and table != CAR_TABLE.name:
            yield commit


def _of_today(histories: Histories) -> Iterator[Commit]:
    for commits in histories.values():
        newest = {_key(commit): commit for commit in reversed(commits)}
        yield from newest.values()


def _files(lake: Lake, table: str, partition: Key, version: int) -> Iterator[str]:
    where = [(column, "=", value) for column, value in partition]
    delta = lake.open(TABLES[table], version)
    if delta is not None:
        yield from (Path(uri).name for uri in delta.file_uris(file_pruning_predicate=where or None))


def _removal(lake: Lake, table: Table, needed: set[str], hours: int) -> Removal:
    delta = lake.open(table)
    if delta is None:
        return Removal(table.name, (), 0)
    try:
        # Delta would insist on a week; our caller chooses. `full` also finds files of interrupted commits.
        old = delta.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
    except (DeltaError, OSError) as error:
        raise LakeError(f"cannot list the files of {table.name} at {lake.uri(table)}: {error}") from error
    there = file_sizes(lake, lake.uri(table))
    files = tuple(file for file in old if file in there and Path(file).name not in needed)
    return Removal(table.name, files, sum(there[file] for file in files))
