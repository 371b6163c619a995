"""Hashes of files, cached while a file stays the same, because weights and tables are hashed often.

A file counts as the same if its size, inode, mtime and ctime are. Programs can set mtime back but not ctime,
so an edit that keeps the size and restores mtime is noticed. A file that changed within seconds before it was
read is hashed again the next time, because a second change within one clock tick would not be visible.
"""

import hashlib
import json
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from time import time_ns

from preceptor.paths import cache_folder

LARGE = 1 << 20  # bytes; above this, reading a cached hash from disk is faster than hashing
SETTLED = 2 * 10**9  # nanoseconds, more than a clock tick of any file system
Stamp = tuple[int, int, int, int]
_known: dict[str, tuple[Stamp, str]] = {}


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hex. Raises OSError."""
    place, stamp = str(path.absolute()), _stamp(path)
    known = _known.get(place) or (_remembered(place) if stamp[0] >= LARGE else None)
    if known is not None and known[0] == stamp:
        _known[place] = known
        return known[1]
    began = time_ns()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if _stamp(path) == stamp and max(stamp[1:3]) < began - SETTLED:
        _known[place] = stamp, found
        if stamp[0] >= LARGE:
            _remember(place, stamp, found)
    return found


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _kept(place: str) -> Path:
    return cache_folder() / "hashes" / hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()


def _remembered(place: str) -> tuple[Stamp, str] | None:
    """The stamp and hash that an earlier process cached; None if they cannot be read."""
    try:
        size, written, changed, number, found = json.loads(_kept(place).read_text())
        return ((int(size), int(written), int(changed), int(number)), found) if _is_hash(found) else None
    except (OSError, ValueError, TypeError):
        return None


def _is_hash(found: object) -> bool:
    return isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found) is not None


def _remember(place: str, stamp: Stamp, found: str) -> None:
    with suppress(OSError):  # on a full or read-only disk the file is hashed again
        kept = _kept(place)
        kept.parent.mkdir(parents=True, exist_ok=True)
        incoming = kept.with_name(f".{os.getpid()}-{uuid.uuid4().hex}")
        incoming.write_text(json.dumps([*stamp, found]))
        incoming.replace(kept)
