"""Finds gaps in a table's hashes: hashes that are missing although the log says that they were stored.

Readers continue, but cannot check the files concerned.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import time

from preceptor.lake.ledger import (
    HASHES,
    LAST_CHECKPOINT,
    LOG,
    Entry,
    added_files,
    checkpoint_name,
    entry_name,
    log_name,
)
from preceptor.lake.table_files import TableFiles

VERSION = re.compile(r"(\d{20})\.json")
STATE = re.compile(r"(\d{20})\.checkpoint\.parquet")
HASHED_STATE = re.compile(r"(\d{20})\.checkpoint\.json")
SETTLED = 600.0  # seconds; a commit that still has no hashes was made by a writer that has ended
CURE = (
    "Readers continue without this check. Restore the file from a copy of the store, or run python -m"
    " jobs.audit, which checks the rows against their commits"
)
KILLED = (
    "hashes are missing, although the commit says that they were stored: the writer was killed, or somebody"
    " removed them. Readers continue without this check. The next commit hashes the files as they are then,"
    " so run python -m jobs.audit first, which checks the rows against their commits"
)


@dataclass(frozen=True)
class Listed:
    """A table's versions with hashes and with log entries; `states` are Delta's checkpoints."""

    hashes: frozenset[int]
    hashed_states: frozenset[int]
    logs: frozenset[int]
    states: frozenset[int]

    @staticmethod
    def of(files: TableFiles) -> "Listed":
        """List the table's files now. Raises OSError."""
        hashes = files.names(HASHES)
        logs = files.names(LOG)  # listed after the hashes, since others may commit in between
        return Listed(
            versions(VERSION, hashes),
            versions(HASHED_STATE, hashes),
            versions(VERSION, logs),
            versions(STATE, logs),
        )

    def begin(self, version: int | None) -> int:
        """The version at which a reader starts: the newest hashed checkpoint up to `version`, or 0."""
        earlier = (v for v in self.states & self.hashed_states if version is None or v <= version)
        return max(earlier, default=0)


def versions(pattern: re.Pattern[str], names: Iterable[str]) -> frozenset[int]:
    """The version numbers of the file names that match the pattern."""
    return frozenset(int(found[1]) for name in names if (found := pattern.fullmatch(name)))


def in_words(found: Iterable[int]) -> str:
    """Versions as text, with runs shortened: "version 1 to 3, 5"."""
    runs: list[list[int]] = []
    for version in sorted(found):
        if runs and runs[-1][-1] == version - 1:
            runs[-1][1:] = [version]
        else:
            runs.append([version])
    return f"version {', '.join(' to '.join(map(str, run)) for run in runs)}"


def unguarded(
    files: TableFiles,
    there: Listed,
    entries: Mapping[int, Entry],
    damaged: Mapping[str, str],
    of_others: set[int],
) -> list[str]:
    """A sentence for each gap. `of_others` caches versions whose writers store no hashes. Raises OSError."""
    problems = [f"{files.uri}/{name} is damaged: {how}. {CURE}" for name, how in damaged.items()]
    problems += _gone(files, there)
    problems += _broken(files, entries)
    problems += _unhashed_state(files, there)
    lacking = _unhashed(files, there, of_others)
    if lacking and not there.hashes:
        problems.append(f"{files.uri}/{HASHES} is gone ({in_words(lacking)}): {KILLED}")
    elif lacking:
        problems.append(f"{files.uri}, {in_words(lacking)}: {KILLED}")
    return problems


def _gone(files: TableFiles, there: Listed) -> Iterator[str]:
    for version in range(max(there.hashes, default=-1) + 1):
        if version not in there.hashes:
            yield f"{files.uri}/{entry_name(version)} is gone. {CURE}"


def _broken(files: TableFiles, entries: Mapping[int, Entry]) -> Iterator[str]:
    for version, entry in entries.items():
        before = entries.get(version - 1)
        if entry.version != version or (before is not None and before.head != entry.before):
            place = f"{files.uri}/{entry_name(version)}"
            yield f"{place} does not match the previous version's file: one of the two was replaced. {CURE}"


def _unhashed_state(files: TableFiles, there: Listed) -> Iterator[str]:
    """Delta's newest checkpoint, if it has no hashes: readers of the newest version start with it."""
    newest = max(there.states, default=None)
    if newest is None or newest in there.hashed_states or newest > max(there.hashes, default=-1):
        return
    at = files.written(checkpoint_name(newest))
    if at is not None and at < time() - SETTLED:
        yield (
            f"{files.uri}/{checkpoint_name(newest)}, where readers start, has no hashes: remove it and"
            f" {LAST_CHECKPOINT} beside it. Readers then use the log, which is complete"
        )


def _unhashed(files: TableFiles, there: Listed, of_others: set[int]) -> list[int]:
    """Commits without hashes although their log entries promise them."""
    newest = max(there.hashes, default=-1)
    settled = time() - SETTLED
    newer = [v for v in sorted(there.logs - of_others) if v > newest]
    written = files.each(files.written, [log_name(v) for v in newer])
    old = [v for v, at in zip(newer, written, strict=True) if at is not None and at < settled]
    read = files.each(files.read, [log_name(v) for v in old])
    lacking = {v for v, data in zip(old, read, strict=True) if added_files(data or b"") is not None}
    of_others |= set(old) - lacking
    return sorted(lacking)
