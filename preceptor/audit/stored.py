"""Checks every file of a study's tables against the hashes stored when it was written.

It only hashes bytes, so no library parses a file that may be damaged.
"""

import hashlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from preceptor.audit.finding import Finding
from preceptor.lake.entry import heads_read
from preceptor.lake.files import REPORT, SEAL, is_sealed, read_text
from preceptor.lake.ledger import (
    HASHES,
    LAST_CHECKPOINT,
    LOG,
    DamagedError,
    Entry,
    added_files,
    as_entry,
    checkpoint_hashes_name,
    decoded,
    entry_name,
    head_at,
    live_files,
    log_name,
)
from preceptor.lake.schemas import TABLES
from preceptor.lake.store import Lake, LakeError
from preceptor.lake.table_files import TableFiles
from preceptor.lake.unguarded import HASHED_STATE, STATE, VERSION, in_words, versions

BY_OTHERS = "an older release or another program wrote them"
YOUNG = 2  # a table with up to this many versions may not have its first hashes yet


@dataclass(frozen=True)
class Head:
    """A hash of a table's complete history up to a version."""

    version: int
    sha256: str


@dataclass(frozen=True)
class Stored:
    """The findings about the stored bytes, and each table's head by its name."""

    findings: list[Finding]
    heads: dict[str, Head]


def stored_files(lake: Lake) -> Stored:
    """Hash every file of every table again, including the staging tables. Raises LakeError."""
    findings, heads, tables = [], {}, []
    for table in (*TABLES.values(), *(replace(t, name=f"_staging/{t.name}") for t in TABLES.values())):
        try:
            found = _Table(table.name, lake.files(table))
            findings += found.findings()
            tables.append(found)
        except OSError as error:
            raise LakeError(f"cannot read {lake.uri(table)}: {error}") from error
        if found.entries:
            newest = found.entries[max(found.entries)]
            heads[table.name] = Head(newest.version, newest.head)
    return Stored([*findings, *_pasts(tables), *_report(lake)], heads)


def _pasts(tables: list["_Table"]) -> Iterator[Finding]:
    """Check that each table still has the history that other tables' current rows were made from.

    A table can be consistent in itself and still have been rolled back or recreated.
    """
    known = {table.name: table for table in tables}
    found = {}
    for reader in tables:
        for name, version, head in sorted(set().union(*reader.read_heads.values())):
            table = known.get(name)
            if table is None or (name, version) in found or table.head(version) == head:
                continue
            place = f"{table.files.uri}/{entry_name(version)}"
            what = "is gone" if table.head(version) is None else "was replaced"
            says = f"{place} {what}, but {reader.name} was made from version {version} of {name}"
            found[name, version] = Finding(f"history of {name}", says, False)
    yield from found.values()


def _report(lake: Lake) -> Iterator[Finding]:
    """Check the study's report, which contains its own hash."""
    uri, subject = f"{lake.home}/{REPORT}", "the study's report"
    try:
        page = read_text(lake, uri)
    except LakeError as error:
        yield Finding(subject, str(error), False)
        return
    if page is None:
        return
    if SEAL not in page:
        yield Finding(subject, f"{uri} has no hash: an older release wrote it, or its end is missing", None)
    elif not is_sealed(page):
        yield Finding(subject, f"{uri} is not the file that was written", False)


@dataclass
class _Table:
    """One table's hashes. `entries` are the undamaged hash files, by version."""

    name: str
    files: TableFiles
    entries: dict[int, Entry] = field(default_factory=dict)
    # by partition: the tables, versions and heads that its newest commit was made from
    read_heads: dict[str, set[tuple[str, int, str]]] = field(default_factory=dict)

    def head(self, version: int) -> str | None:
        """The table's head at a version, or None if it has no hashes."""
        return self.entries[version].head if version in self.entries else head_at(self.files, version)

    def findings(self) -> list[Finding]:
        hashed = versions(VERSION, self.files.names(HASHES))
        logs = versions(VERSION, self.files.names(LOG))  # after the hashes: others may commit in between
        problems = list(self._chain(hashed))
        problems += self._changed(logs)
        problems += self._checkpoints()
        found = [Finding(self.subject, text, False) for text in problems]
        found += [Finding(self.subject, text, holds) for text, holds in self._unhashed(logs, hashed)]
        data = sum(len(entry.files or {}) for entry in self.entries.values())
        if self.entries and not problems:
            says = f"{len(self.entries)} commits and {data} data files match their hashes"
            found.insert(0, Finding(self.subject, says))
        return found

    @property
    def subject(self) -> str:
        return f"files of {self.name}"

    def _chain(self, hashed: Set[int]) -> Iterator[str]:
        """Check the hash files: each against its first line, and against the next version's hash file."""
        wanted = list(range(max(hashed, default=-1) + 1))
        for version, data in zip(
            wanted, self.files.each(self.files.read, map(entry_name, wanted)), strict=True
        ):
            place = f"{self.files.uri}/{entry_name(version)}"
            if data is None:
                yield f"{place} is gone"
                continue
            try:
                entry = as_entry(data)
            except DamagedError as error:
                yield f"{place} is damaged: {error}"
                continue
            before = self.entries.get(version - 1)
            if entry.version != version or (before and before.head != entry.before):
                yield f"{place} does not match the previous version's file: one of the two was replaced"
            self.entries[version] = entry

    def _changed(self, logs: Set[int]) -> Iterator[str]:
        """Changed log entries and data files. A missing data file counts if the newest version needs it."""
        hashes = {entry.version: entry.log for entry in self.entries.values() if entry.log is not None}
        read = sorted(logs | hashes.keys())
        sound = []
        for version, data in zip(read, self.files.each(self.files.read, map(log_name, read)), strict=True):
            sha = None if data is None else hashlib.sha256(data).hexdigest()
            if version in hashes and sha != hashes[version]:
                what = "is gone" if data is None else "is not the file that was written"
                yield f"{self.files.uri}/{log_name(version)} {what}"
            else:
                sound.append(data or b"")
                self.read_heads |= heads_read(data or b"")
        expected: dict[str, str] = {}
        for entry in self.entries.values():
            expected |= {name: sha for name, sha in (entry.files or {}).items() if sha is not None}
        yield from self._differing(expected, live_files(sound) if len(sound) == len(read) else frozenset())

    def _differing(self, expected: dict[str, str], needed: Set[str] = frozenset()) -> Iterator[str]:
        for name, sha in zip(expected, self.files.each(self.files.sha256, expected), strict=True):
            if sha is None and name in needed:
                yield f"{self.files.uri}/{name} is gone, but no commit removed it"
            elif sha not in (expected[name], None):
                yield f"{self.files.uri}/{name} is not the file that was written"

    def _checkpoints(self) -> Iterator[str]:
        """Check Delta's checkpoints of the table's state, where readers start."""
        kept = sorted(versions(HASHED_STATE, self.files.names(HASHES)))
        for version in kept:
            name = checkpoint_hashes_name(version)
            try:
                expected = decoded(self.files.read(name) or b"")
            except DamagedError as error:
                yield f"{self.files.uri}/{name} is damaged: {error}"
                continue
            differing = list(self._differing(expected))
            newest = version == max(versions(STATE, self.files.names(LOG)), default=version)
            yield from (text for text in differing if newest or LAST_CHECKPOINT not in text)

    def _unhashed(self, logs: Set[int], hashed: Set[int]) -> Iterator[tuple[str, bool | None]]:
        """Commits without hashes, each with False if that is an error, or None if they cannot be checked."""
        newer = sorted(version for version in logs if version > max(hashed, default=-1))
        promised = [v for v in newer if added_files(self.files.read(log_name(v)) or b"") is not None]
        older = [v for v in newer if v not in promised]
        older += [e.version for e in self.entries.values() if e.files is None]
        if promised and not hashed and len(promised) > YOUNG:
            yield (
                f"{self.files.uri}/{HASHES} is gone: it held the hashes of {len(promised)} commits",
                False,
            )
        elif promised:
            words = "no hashes yet; their writer was killed or is still running"
            place = f"{self.files.uri}/{entry_name(promised[0])}"
            yield f"{in_words(promised)}: {words} ({place} does not exist)", None
        if older:
            yield f"{in_words(older)}: no file hashes, because {BY_OTHERS}", None
        lost = [name for e in self.entries.values() for name, sha in (e.files or {}).items() if sha is None]
        if lost:
            yield f"{len(lost)} data files were gone before they could be hashed: {lost[0]}", None
        known = versions(HASHED_STATE, self.files.names(HASHES))
        unhashed = versions(STATE, self.files.names(LOG)) - known
        if unhashed:
            yield f"Delta's checkpoint at {in_words(unhashed)} has no hash", None


def head_of_all(heads: Mapping[str, Head]) -> str:
    """One hash of all tables' histories, short enough to write down."""
    lines = (f"{table} {head.version} {head.sha256}\n" for table, head in sorted(heads.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def since(lake: Lake, heads: Mapping[str, Head], where: str) -> Iterator[Finding]:
    """Check that the store continues the histories of heads that were kept elsewhere. Raises LakeError."""
    for table, head in heads.items():
        files = TableFiles(f"{lake.home}/{table}", lake.filesystem if lake.remote else None)
        try:
            now = head_at(files, head.version)
        except OSError as error:
            raise LakeError(f"cannot read {files.uri}: {error}") from error
        subject, until = f"history of {table}", f"up to version {head.version}"
        if now == head.sha256:
            yield Finding(subject, f"{until} it matches {where}")
        else:
            place = f"{files.uri}/{entry_name(head.version)}"
            yield Finding(subject, f"{until} it does not match {where}: {place} was replaced", False)
