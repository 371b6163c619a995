"""The hashes of what a table's commits wrote: a chain of small files in `_hashes/`, beside Delta's log.

A file per version holds the SHA-256 of the version's log entry, of each data file that it added, and of the
file before it. What it says follows from log and data files alone: writers that meet write the same bytes,
and the next writer adds what a killed one could not. A file begins with the hash of its own rest.

What no hash kept elsewhere can tell: whether somebody wrote all of it anew. Keep a head outside the store.
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
HASHED = {"hashes": "sha256"}  # in a commit's metadata: whoever made it keeps its files' hashes here
DIGITS = 64


class DamagedError(ValueError):
    """A file of hashes that is not what was written."""


@dataclass(frozen=True)
class Entry:
    """What one version wrote. `files` is None where a release made it that kept no hashes of data files.

    A hash is None where the file was gone before anybody hashed it. `before` is the head of the version
    before, empty for the first.
    """

    version: int
    before: str
    log: str | None
    files: dict[str, str | None] | None

    @cached_property
    def head(self) -> str:
        """The hash of all that the entry says: it stands for the table's whole past."""
        return encoded(asdict(self))[:DIGITS].decode()


def entry_name(version: int) -> str:
    """The file of a version's hashes."""
    return f"{HASHES}/{version:020}.json"


def log_name(version: int) -> str:
    """The file of a version in Delta's log."""
    return f"{LOG}/{version:020}.json"


def checkpoint_name(version: int) -> str:
    """The file that holds the whole table's state at a version, where delta-rs wrote one."""
    return f"{LOG}/{version:020}.checkpoint.parquet"


def checkpoint_hashes_name(version: int) -> str:
    """The file of that checkpoint's hashes."""
    return f"{HASHES}/{version:020}.checkpoint.json"


def encoded(said: dict[str, Any]) -> bytes:
    """A file of hashes: the hash of its second line, then that line."""
    body = json.dumps(said, sort_keys=True).encode() + b"\n"
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decoded(data: bytes) -> dict[str, Any]:
    """What such a file says. Raises DamagedError where it is not the file that was written."""
    first, body = data[: DIGITS + 1], data[DIGITS + 1 :]
    if first != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise DamagedError("it does not hash to its own first line")
    try:
        said: dict[str, Any] = dict(json.loads(body))
    except (ValueError, TypeError) as error:  # a forger's
        raise DamagedError(str(error)) from error
    return said


def as_entry(data: bytes) -> Entry:
    """A version's hashes, as their file has them. Raises DamagedError."""
    said = decoded(data)
    try:
        entry = Entry(**said)
        return replace(
            entry, version=int(entry.version), files=None if entry.files is None else dict(entry.files)
        )
    except (ValueError, TypeError) as error:
        raise DamagedError(str(error)) from error


def head_at(files: TableFiles, version: int) -> str | None:
    """The head of a version; None where nobody wrote one. Raises OSError."""
    data = files.read(entry_name(version))
    return None if data is None else data[:DIGITS].decode("ascii", "replace")


def record(files: TableFiles, version: int) -> None:
    """Write the hashes of every commit up to this one that lacks them. Raises OSError."""
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
    """Write one version's hashes; its head."""
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
    """Write the hashes of the table's state that delta-rs keeps every hundred versions, where it did."""
    name, state = checkpoint_hashes_name(version), checkpoint_name(version)
    if files.read(name) is None and (sha := files.sha256(state)) is not None:
        files.write(name, encoded({state: sha, LAST_CHECKPOINT: files.sha256(LAST_CHECKPOINT)}))


def added_files(log: bytes) -> list[str] | None:
    """The data files that a log entry adds; None where its writer did not say that it hashes them."""
    try:
        actions = [json.loads(line) for line in log.splitlines() if line.strip()]
        said = [action["commitInfo"] for action in actions if "commitInfo" in action]
        if not any(info.items() >= HASHED.items() for info in said):
            return None
        return [unquote(action["add"]["path"]) for action in actions if "add" in action]
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged before anybody hashed it
        return None


def live_files(logs: Iterable[bytes]) -> frozenset[str]:
    """The data files that a table holds after these log entries, in their order."""
    live: set[str] = set()
    for log in logs:
        for line in log.splitlines():
            try:
                action = json.loads(line)
                live -= {unquote(action["remove"]["path"])} if "remove" in action else set()
                live |= {unquote(action["add"]["path"])} if "add" in action else set()
            except (ValueError, KeyError, TypeError, AttributeError):  # another program's
                continue
    return frozenset(live)
