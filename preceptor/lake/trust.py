"""Whether a table's files are still those that were written: asked before a library parses them.

What was found sound is not read again by this process, unless its time or size changes.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from threading import Lock

from preceptor.lake.ledger import (
    HASHES,
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

log = logging.getLogger(__name__)


@dataclass
class Trust:
    """What one process knows of a table's hashes, and which files it has found to be as they were."""

    files: TableFiles
    _entries: list[Entry] = field(default_factory=list)
    _hashes: dict[str, tuple[str, str]] = field(default_factory=dict)  # data file's own name → path, hash
    _states: dict[str, str | None] = field(default_factory=dict)  # Delta's own copies of the table's state
    _sound: dict[str, Signature | None] = field(default_factory=dict)
    _alone: Lock = field(default_factory=Lock)

    def log_problem(self) -> str | None:
        """The first entry of the log that is not the one that was written. Raises OSError."""
        with self._alone:
            self._learn()
        logs = [(log_name(entry.version), entry.log) for entry in self._entries]
        known = [(name, sha) for name, sha in [*logs, *self._states.items()] if sha is not None]
        return self._first_changed(known)

    def data_problem(self, names: Iterable[str]) -> str | None:
        """The first of these data files, each by its own name, that is not the one that was written."""
        known = (self._hashes[name] for name in names if name in self._hashes)
        return self._first_changed(known)

    def _learn(self) -> None:
        """Read the hashes that were added since; a table that was made anew is learnt anew."""
        if self._entries and head_at(self.files, len(self._entries) - 1) != self._entries[-1].head:
            self._entries, self._hashes, self._states, self._sound = [], {}, {}, {}
        there = set(self.files.names(HASHES))
        names = takewhile(lambda name: Path(name).name in there, map(entry_name, count(len(self._entries))))
        wanted = list(names)
        try:
            for data in self.files.each(self.files.read, wanted):
                self._add(as_entry(data or b""))
            for version in range(len(self._entries) - len(wanted), len(self._entries)):
                name = checkpoint_hashes_name(version)
                if Path(name).name in there:
                    said = decoded(self.files.read(name) or b"")
                    self._states |= {file: sha for file, sha in said.items() if file != LAST_CHECKPOINT}
        except DamagedError as error:
            log.warning("a file of hashes in %s/%s is damaged: %s", self.files.uri, HASHES, error)

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        added = (entry.files or {}).items()
        self._hashes |= {Path(path).name: (path, sha) for path, sha in added if sha is not None}

    def _first_changed(self, hashes: Iterable[tuple[str, str]]) -> str | None:
        signed = [(name, sha, self.files.signature(name)) for name, sha in hashes]
        new = [found for found in signed if found[0] not in self._sound or self._sound[found[0]] != found[2]]
        now = self.files.each(self.files.sha256, [name for name, _, _ in new])
        for (name, sha, signature), found in zip(new, now, strict=True):
            if found not in (sha, None):  # a file that is gone fails by itself, or is not needed
                return name
            self._sound[name] = signature
        return None


_known: dict[str, Trust] = {}


def trust(files: TableFiles) -> Trust:
    """What this process knows of a table."""
    return _known.setdefault(files.uri, Trust(files))
