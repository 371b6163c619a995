"""Remove data files that nothing needs: no present row, no live checkpoint, no ranking.

Delta's own vacuum keeps versions of a table whole or not at all, and nearly every version is one that some
partition was computed from: here a file is kept where the history of its own partition needs it.
The log stays whole.
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


@dataclass(frozen=True)
class Removal:
    """Files of one table that nothing needs, by their paths in it, and their bytes."""

    table: str
    files: tuple[str, ...]
    bytes: int


def vacuum(lake: Lake, retention_hours: int, dry_run: bool = True) -> list[Removal]:
    """Remove (or only list) files that left the tables, or never came into them, so many hours ago.

    Raises LakeError where a manifest or a log cannot be read: what it needs is not known then.
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
    """Names of the data files that a live checkpoint, a present row or any ranking was made from."""
    histories = {name: history(lake, table) for name, table in TABLES.items()}
    wanted = [*_of_manifests(lake, histories), *_of_today(histories), *histories[CAR_TABLE.name]]
    needed: dict[tuple[str, int], Commit] = {}
    while wanted:
        commit = wanted.pop()
        if needed.setdefault((commit.table, commit.version), commit) is commit and _counts(commit, histories):
            wanted += [dependency for dependency, _ in behind(commit, histories)]
    return {name for commit in needed.values() for name in _files(lake, commit)}


def _counts(commit: Commit, histories: Histories) -> bool:
    """Whether what a commit was made from is needed too.

    Old rankings are kept to be compared, not to be made again; what a model needs, its own manifest says.
    """
    if commit.table == CAR_TABLE.name:
        return commit == histories[CAR_TABLE.name][0]
    return commit.table != TUNED_CHECKPOINT.name


def _of_manifests(lake: Lake, histories: Histories) -> Iterator[Commit]:
    for uri in published(lake, CHECKPOINTS):
        try:
            origins = json.loads(read_manifest(lake, uri) or "")["origins"]["partitions"]
            places = [(origin["table"], origin["partition"], origin["version"]) for origin in origins]
        except (ValueError, KeyError, TypeError) as error:
            raise LakeError(
                f"{uri}/{MANIFEST} does not say what it needs ({type(error).__name__}: {error}):"
                " mend it, or remove the folder if its model is not wanted"
            ) from error
        for table, partition, version in places:
            commit = commit_of(histories[table], partition, version)
            if commit is not None:
                yield commit


def _of_today(histories: Histories) -> Iterator[Commit]:
    for commits in histories.values():
        newest = {str(sorted(commit.partition.items())): commit for commit in reversed(commits)}
        yield from newest.values()


def _files(lake: Lake, commit: Commit) -> Iterator[str]:
    delta = lake.open(TABLES[commit.table], commit.version)
    where = [(column, "=", value) for column, value in commit.partition.items()]
    if delta is not None:
        yield from (Path(uri).name for uri in delta.file_uris(file_pruning_predicate=where or None))


def _removal(lake: Lake, table: Table, needed: set[str], hours: int) -> Removal:
    delta = lake.open(table)
    if delta is None:
        return Removal(table.name, (), 0)
    try:
        # Who calls says how many hours, where Delta insists on a week; `full` finds torn commits' files too.
        old = delta.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
    except (DeltaError, OSError) as error:
        raise LakeError(f"cannot list what {table.name} at {lake.uri(table)} needs: {error}") from error
    there = file_sizes(lake, lake.uri(table))
    files = tuple(file for file in old if file in there and Path(file).name not in needed)
    return Removal(table.name, files, sum(there[file] for file in files))
