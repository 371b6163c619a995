"""What is missing of a table's hashes, though its log says that they were kept: readers go on unguarded."""

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
SETTLED = 600.0  # seconds after which a writer has kept its commit's hashes, or was ended before
CURE = (
    "Readers go on without it: put it back from a copy of the store. Without one, let python -m jobs.audit"
    " hold the rows against what was said of them"
)
KILLED = (
    "no hashes, though whoever committed says that they were kept: it was killed before, or somebody took"
    " them away. Readers go on without, and the next commit hashes what is there then: let python -m"
    " jobs.audit hold the rows against what was said of them before"
)


@dataclass(frozen=True)
class Listed:
    """The versions of a table that have hashes, log entries, and of Delta's own copies of the state both."""

    hashes: frozenset[int]
    hashed_states: frozenset[int]
    logs: frozenset[int]
    states: frozenset[int]

    @staticmethod
    def of(files: TableFiles) -> "Listed":
        """What lies there now. Raises OSError."""
        hashes = files.names(HASHES)
        logs = files.names(LOG)  # after the hashes: others may be at work
        return Listed(
            versions(VERSION, hashes),
            versions(HASHED_STATE, hashes),
            versions(VERSION, logs),
            versions(STATE, logs),
        )

    def begin(self, version: int | None) -> int:
        """Where a reader of a version, the newest by default, begins: a copy of the state, or the start."""
        earlier = (v for v in self.states & self.hashed_states if version is None or v <= version)
        return max(earlier, default=0)


def versions(pattern: re.Pattern[str], names: Iterable[str]) -> frozenset[int]:
    """Of the files that look so, which versions they are of."""
    return frozenset(int(found[1]) for name in names if (found := pattern.fullmatch(name)))


def in_words(found: Iterable[int]) -> str:
    """Runs of versions."""
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
    """A sentence for each gap; `of_others` remembers whose writers keep no hashes. Raises OSError."""
    said = [f"{files.uri}/{name} is damaged: {how}. {CURE}" for name, how in damaged.items()]
    said += _gone(files, there)
    said += _broken(files, entries)
    said += _unhashed_state(files, there)
    lacking = _unhashed(files, there, of_others)
    if lacking and not there.hashes:
        said.append(f"{files.uri}/{HASHES} is gone ({in_words(lacking)}): {KILLED}")
    elif lacking:
        said.append(f"{files.uri}, {in_words(lacking)}: {KILLED}")
    return said


def _gone(files: TableFiles, there: Listed) -> Iterator[str]:
    for version in range(max(there.hashes, default=-1) + 1):
        if version not in there.hashes:
            yield f"{files.uri}/{entry_name(version)} is gone. {CURE}"


def _broken(files: TableFiles, entries: Mapping[int, Entry]) -> Iterator[str]:
    for version, entry in entries.items():
        before = entries.get(version - 1)
        if entry.version != version or (before is not None and before.head != entry.before):
            place = f"{files.uri}/{entry_name(version)}"
            yield f"{place} does not follow from the one before: one of the two was written anew. {CURE}"


def _unhashed_state(files: TableFiles, there: Listed) -> Iterator[str]:
    """Readers of the newest version begin with it."""
    newest = max(there.states, default=None)
    if newest is None or newest in there.hashed_states or newest > max(there.hashes, default=-1):
        return
    at = files.written(checkpoint_name(newest))
    if at is not None and at < time() - SETTLED:
        yield (
            f"{files.uri}/{checkpoint_name(newest)}, from which readers begin, has no hashes: remove it and"
            f" {LAST_CHECKPOINT} beside it, and they read the log itself, which is whole"
        )


def _unhashed(files: TableFiles, there: Listed, of_others: set[int]) -> list[int]:
    """Commits without hashes whose writers say that they keep them."""
    newest = max(there.hashes, default=-1)
    settled = time() - SETTLED
    newer = [v for v in sorted(there.logs - of_others) if v > newest]
    written = files.each(files.written, [log_name(v) for v in newer])
    old = [v for v, at in zip(newer, written, strict=True) if at is not None and at < settled]
    read = files.each(files.read, [log_name(v) for v in old])
    lacking = {v for v, data in zip(old, read, strict=True) if added_files(data or b"") is not None}
    of_others |= set(old) - lacking
    return sorted(lacking)
