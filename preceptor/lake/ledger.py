"""Hashes of the files that a table's commits wrote: a chain of small files in `_hashes/`, beside Delta's log.

There is one hash file per version. It holds the SHA-256 of the version's log entry, of each data file that
the version added, and of the previous hash file. The content depends only on log and data files, so
concurrent writers write the same bytes, and the next writer adds what a killed one could not. A hash file's
first line is the hash of the rest of the file.

The chain alone cannot show that somebody rewrote all of it. To detect that, keep a head outside the store.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from preceptor.lake.table_files import TableFiles

HASHES = "_hashes"
LOG = "_delta_log"
LAST_CHECKPOINT = f"{LOG}/_last_checkpoint"
HASHED = {"hashes": "sha256"}  # in a commit's metadata: its writer stores the files' hashes in `_hashes/`
DIGITS = 64


class DamagedError(ValueError):
    """A hash file differs from what was written."""


@dataclass(frozen=True)
class Entry:
    """The files that one version wrote. `files` is None if its release stored no hashes of data files.

    A hash is None if the file was gone before it could be hashed. `before` is the previous version's head,
    empty for the first version.
    """

    version: int
    before: str
    log: str | None
    files: dict[str, str | None] | None

    @cached_property
    def head(self) -> str:
        """The hash of the entry. It covers the table's whole history, since `before` is part of it."""
        return encoded(asdict(self))[:DIGITS].decode()


def entry_name(version: int) -> str:
    """The path of a version's hash file."""
    return f"{HASHES}/{version:020}.json"


def log_name(version: int) -> str:
    """The path of a version's entry in Delta's log."""
    return f"{LOG}/{version:020}.json"


def checkpoint_name(version: int) -> str:
    """The path of Delta's checkpoint of a version, which holds the table's whole state."""
    return f"{LOG}/{version:020}.checkpoint.parquet"


def checkpoint_hashes_name(version: int) -> str:
    """The path of that checkpoint's hash file."""
    return f"{HASHES}/{version:020}.checkpoint.json"


def encoded(content: dict[str, Any]) -> bytes:
    """The bytes of a hash file: the hash of its second line, then that line."""
    body = json.dumps(content, sort_keys=True).encode() + b"\n"
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decoded(data: bytes) -> dict[str, Any]:
    """The content of a hash file. Raises DamagedError if the file was changed."""
    first, body = data[: DIGITS + 1], data[DIGITS + 1 :]
    if first != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise DamagedError("its content does not match the hash in its first line")
    try:
        content: dict[str, Any] = dict(json.loads(body))
    except (ValueError, TypeError) as error:  # the hash matches, so somebody wrote it on purpose
        raise DamagedError(str(error)) from error
    return content


def as_entry(data: bytes) -> Entry:
    """Parse a version's hash file. Raises DamagedError."""
    content = decoded(data)
    try:
        entry = Entry(**content)
        return replace(
            entry, version=int(entry.version), files=None if entry.files is None else dict(entry.files)
        )
    except (ValueError, TypeError) as error:
        raise DamagedError(str(error)) from error


def head_at(files: TableFiles, version: int) -> str | None:
    """The head of a version, or None if it has no hash file. Raises OSError."""
    data = files.read(entry_name(version))
    return None if data is None else data[:DIGITS].decode("ascii", "replace")


def record(files: TableFiles, version: int) -> None:
    """Write the missing hash files of all commits up to this version. Raises OSError."""
    first, head = version, ""
    while first > 0:
        before = head_at(files, first - 1)
        if before is not None:
            head = before
            break
        first -= 1
    for number in range(first, version + 1):
        head = head_at(files, number) or _recorded(files, number, head)
        _record_checkpoint(files, number)


def _recorded(files: TableFiles, version: int, before: str) -> str:
    """Write one version's hash file and return its head."""
    log = files.read(log_name(version))
    added = None if log is None else added_files(log)
    entry = Entry(
        version,
        before,
        None if log is None else hashlib.sha256(log).hexdigest(),
        None if added is None else {name: files.sha256(name) for name in added},
    )
    files.write(entry_name(version), encoded(asdict(entry)))
    return entry.head


def _record_checkpoint(files: TableFiles, version: int) -> None:
    """Write the hashes of Delta's checkpoint of this version, if there is one (every hundred versions)."""
    name, state = checkpoint_hashes_name(version), checkpoint_name(version)
    if files.read(name) is None and (sha := files.sha256(state)) is not None:
        files.write(name, encoded({state: sha, LAST_CHECKPOINT: files.sha256(LAST_CHECKPOINT)}))


def added_files(log: bytes) -> list[str] | None:
    """The data files that a log entry adds, or None if the entry does not promise hashes of them."""
    try:
        actions = [json.loads(line) for line in log.splitlines() if line.strip()]
        infos = [action["commitInfo"] for action in actions if "commitInfo" in action]
        if not any(info.items() >= HASHED.items() for info in infos):
            return None
        return [unquote(action["add"]["path"]) for action in actions if "add" in action]
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged before it was hashed
        return None


def live_files(logs: Iterable[bytes]) -> frozenset[str]:
    """The data files that a table holds after these log entries, applied in order."""
    live: set[str] = set()
    for log in logs:
        for line in log.splitlines():
            try:
                action = json.loads(line)
                live -= {unquote(action["remove"]["path"])} if "remove" in action else set()
                live |= {unquote(action["add"]["path"])} if "add" in action else set()
            except (ValueError, KeyError, TypeError, AttributeError):  # written by another program
                continue
    return frozenset(live)
