"""Every file of a study's tables, byte for byte, against the hashes kept as it was written.

No library has parsed any of it by then: hashing needs none.
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
YOUNG = 2  # versions that a table may have before anybody came to hash one


@dataclass(frozen=True)
class Head:
    """What stands for a table's whole past up to a version: a hash that each earlier one is in."""

    version: int
    sha256: str


@dataclass(frozen=True)
class Stored:
    """What the bytes alone say, and each table's head, by its name."""

    findings: list[Finding]
    heads: dict[str, Head]


def stored_files(lake: Lake) -> Stored:
    """Hash every file of every table again, chunks that wait in `_staging` included. Raises LakeError."""
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
    """Whether each table still has the past that others' present rows were made from.

    A table may be sound in itself, and rolled back or made anew.
    """
    known = {table.name: table for table in tables}
    said = {}
    for reader in tables:
        for name, version, head in sorted(set().union(*reader.read_heads.values())):
            table = known.get(name)
            if table is None or (name, version) in said or table.head(version) == head:
                continue
            place = f"{table.files.uri}/{entry_name(version)}"
            what = "is gone" if table.head(version) is None else "is not the one of then"
            says = f"{place} {what}: {reader.name} was made from version {version} of {name}"
            said[name, version] = Finding(f"past of {name}", says, False)
    yield from said.values()


def _report(lake: Lake) -> Iterator[Finding]:
    """The study's page, which holds its own hash."""
    uri, subject = f"{lake.home}/{REPORT}", "the study's report"
    try:
        page = read_text(lake, uri)
    except LakeError as error:
        yield Finding(subject, str(error), False)
        return
    if page is None:
        return
    if SEAL not in page:
        yield Finding(
            subject, f"{uri} holds no hash of itself: an older release wrote it, or it was cut", None
        )
    elif not is_sealed(page):
        yield Finding(subject, f"{uri} is not the file that was written", False)


@dataclass
class _Table:
    """One table's hashes; `entries` are those that are sound, by version."""

    name: str
    files: TableFiles
    entries: dict[int, Entry] = field(default_factory=dict)
    # by partition: of which tables and versions its newest commit was made, and their heads then
    read_heads: dict[str, set[tuple[str, int, str]]] = field(default_factory=dict)

    def head(self, version: int) -> str | None:
        """What stands for the table's past up to a version; None where nobody kept its hashes."""
        return self.entries[version].head if version in self.entries else head_at(self.files, version)

    def findings(self) -> list[Finding]:
        hashed = versions(VERSION, self.files.names(HASHES))
        logs = versions(VERSION, self.files.names(LOG))  # after the hashes: others may be at work
        problems = list(self._chain(hashed))
        problems += self._changed(logs)
        problems += self._checkpoints()
        said = [Finding(self.subject, text, False) for text in problems]
        said += [Finding(self.subject, text, holds) for text, holds in self._unhashed(logs, hashed)]
        data = sum(len(entry.files or {}) for entry in self.entries.values())
        if self.entries and not problems:
            says = f"{len(self.entries)} commits and {data} data files, every byte as it was written"
            said.insert(0, Finding(self.subject, says))
        return said

    @property
    def subject(self) -> str:
        return f"files of {self.name}"

    def _chain(self, hashed: Set[int]) -> Iterator[str]:
        """The hashes themselves: each file by its own first line, and by what the next one says of it."""
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
                yield f"{place} does not follow from the one before: one of the two was written anew"
            self.entries[version] = entry

    def _changed(self, logs: Set[int]) -> Iterator[str]:
        """Log entries and data files that are not those written; data that is gone may be vacuumed."""
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
                yield f"{self.files.uri}/{name} is gone, and no commit took it out"
            elif sha not in (expected[name], None):
                yield f"{self.files.uri}/{name} is not the file that was written"

    def _checkpoints(self) -> Iterator[str]:
        """Delta's own copies of a table's state, which a reader begins with."""
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
        """Commits that nobody hashed, and whether that is a fault: an older release never did."""
        newer = sorted(version for version in logs if version > max(hashed, default=-1))
        says_so = [v for v in newer if added_files(self.files.read(log_name(v)) or b"") is not None]
        older = [v for v in newer if v not in says_so]
        older += [e.version for e in self.entries.values() if e.files is None]
        if says_so and not hashed and len(says_so) > YOUNG:
            yield (
                f"{self.files.uri}/{HASHES} is gone: {len(says_so)} commits had their hashes there",
                False,
            )
        elif says_so:
            words = "no hashes yet; whoever wrote them was ended before, or is at it"
            place = f"{self.files.uri}/{entry_name(says_so[0])}"
            yield f"{in_words(says_so)}: {words} ({place} is not there)", None
        if older:
            yield f"{in_words(older)}: {BY_OTHERS}, these commits carry no file hashes", None
        lost = [name for e in self.entries.values() for name, sha in (e.files or {}).items() if sha is None]
        if lost:
            yield f"{len(lost)} data files were gone before anybody could hash them: {lost[0]}", None
        known = versions(HASHED_STATE, self.files.names(HASHES))
        unsaid = versions(STATE, self.files.names(LOG)) - known
        if unsaid:
            yield f"Delta's checkpoint at {in_words(unsaid)}: nobody hashed it", None


def head_of_all(heads: Mapping[str, Head]) -> str:
    """One hash for all tables' pasts, short enough to be written down."""
    lines = (f"{table} {head.version} {head.sha256}\n" for table, head in sorted(heads.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def since(lake: Lake, heads: Mapping[str, Head], where: str) -> Iterator[Finding]:
    """Whether what the store holds now continues the pasts that somebody kept elsewhere."""
    for table, head in heads.items():
        files = TableFiles(f"{lake.home}/{table}", lake.filesystem if lake.remote else None)
        try:
            now = head_at(files, head.version)
        except OSError as error:
            raise LakeError(f"cannot read {files.uri}: {error}") from error
        subject, until = f"past of {table}", f"up to version {head.version}"
        if now == head.sha256:
            yield Finding(subject, f"{until} it is the one in {where}")
        else:
            place = f"{files.uri}/{entry_name(head.version)}"
            yield Finding(subject, f"{until} it is not the one in {where}: {place} was written anew", False)
