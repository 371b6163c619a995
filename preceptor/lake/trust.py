"""Checks a table's files against their hashes before a library parses them.

A verified file is not hashed again unless its signature changes. Hashes of large files are also cached for
later processes (file_hash.py). If a hash file is missing or damaged, the files that it covers cannot be
checked. They are read anyway, with a warning in the log: their rows may be intact, and an audit checks them
by other means. All other files are still checked.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from preceptor.lake.ledger import (
    LAST_CHECKPOINT,
    DamagedError,
    Entry,
    as_entry,
    checkpoint_hashes_name,
    decoded,
    entry_name,
    head_at,
    log_name,
)
from preceptor.lake.table_files import Signature, TableFiles
from preceptor.lake.unguarded import Listed, unguarded

log = logging.getLogger(__name__)


@dataclass
class Trust:
    """One process's cache of a table's hashes, and of the files that it has verified."""

    files: TableFiles
    _entries: dict[int, Entry] = field(default_factory=dict)
    _hashes: dict[str, tuple[str, str]] = field(default_factory=dict)  # data file's base name → path, hash
    _states: dict[int, dict[str, str | None]] = field(default_factory=dict)  # hashes of Delta's checkpoints
    _sound: dict[str, Signature | None] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)  # damaged hash file → the damage
    _of_others: set[int] = field(default_factory=set)  # versions whose writers stored no hashes
    _said: set[str] = field(default_factory=set)
    _alone: Lock = field(default_factory=Lock)

    def log_problem(self, version: int | None = None, whole: bool = False) -> str | None:
        """The first log entry that a reader needs and that was changed or is gone; None if there is none.

        A reader of a version (the newest by default) starts at Delta's newest checkpoint before it, unless it
        needs the `whole` log. Missing hashes are logged once per process. Raises OSError.
        """
        with self._alone:
            there = self._learn(version, whole)
            begin = there.begin(version)
            first = begin if self.files.remote and not whole else 0
            entries = [entry for v, entry in sorted(self._entries.items()) if v >= first]
            states = [state for v, state in self._states.items() if v >= first]
        for entry in entries:
            if entry.log is not None and entry.version >= begin and entry.version not in there.logs:
                return f"{log_name(entry.version)} is gone"
        known = [(log_name(entry.version), entry.log) for entry in entries]
        known += [item for state in states for item in state.items()]
        return self._first_changed((name, sha) for name, sha in known if sha is not None)

    def data_problem(self, names: Iterable[str]) -> str | None:
        """The first of these data files, given by base name, that was changed; None if there is none."""
        known = (self._hashes[name] for name in names if name in self._hashes)
        return self._first_changed(known)

    def unguarded(self) -> list[str]:
        """A sentence for each gap in the hashes. Raises OSError."""
        with self._alone:
            return self._missing(self._learn(None, whole=False))

    def _learn(self, version: int | None, whole: bool) -> Listed:
        """Read the hashes that are not cached yet. If the table was recreated, read all of them again."""
        newest = max(self._entries, default=None)
        if newest is not None and head_at(self.files, newest) != self._entries[newest].head:
            self._entries, self._hashes, self._states, self._sound = {}, {}, {}, {}
        there = Listed.of(self.files)
        first = there.begin(version) if self.files.remote and not whole else 0
        self._damaged = {}
        self._read_entries(sorted(v for v in there.hashes - self._entries.keys() if v >= first))
        self._read_states(sorted(v for v in there.hashed_states - self._states.keys() if v >= first))
        for sentence in self._missing(there):
            if sentence not in self._said:
                self._said.add(sentence)
                log.warning("%s", sentence)
        return there

    def _missing(self, there: Listed) -> list[str]:
        return unguarded(self.files, there, self._entries, self._damaged, self._of_others)

    def _read_entries(self, versions: list[int]) -> None:
        names = [entry_name(version) for version in versions]
        for version, name, data in zip(versions, names, self.files.each(self.files.read, names), strict=True):
            try:
                entry = as_entry(data or b"")
            except DamagedError as error:
                self._damaged[name] = str(error)
                continue
            self._entries[version] = entry
            added = (entry.files or {}).items()
            self._hashes |= {Path(path).name: (path, sha) for path, sha in added if sha is not None}

    def _read_states(self, versions: list[int]) -> None:
        for version in versions:
            name = checkpoint_hashes_name(version)
            try:
                hashes = decoded(self.files.read(name) or b"")
            except DamagedError as error:
                self._damaged[name] = str(error)
                continue
            self._states[version] = {file: sha for file, sha in hashes.items() if file != LAST_CHECKPOINT}

    def _first_changed(self, hashes: Iterable[tuple[str, str]]) -> str | None:
        signed = [(name, sha, self.files.signature(name)) for name, sha in hashes]
        new = [found for found in signed if found[0] not in self._sound or self._sound[found[0]] != found[2]]
        now = self.files.each(self.files.known_sha256, [name for name, _, _ in new])
        for (name, sha, signature), found in zip(new, now, strict=True):
            if found not in (sha, None):  # reading a missing file fails anyway, if it is needed
                return f"{name} is not the file that was written"
            self._sound[name] = signature
        return None


_known: dict[str, Trust] = {}


def trust(files: TableFiles) -> Trust:
    """This process's cache for a table."""
    return _known.setdefault(files.uri, Trust(files))
