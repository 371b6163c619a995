"""Which large data files an earlier process found to be as they were written: nobody hashes them again.

A file is the same while its size, its number (inode) and both its times are: nobody can set back the second,
when content or name last changed by any means. What a disk changes by itself shows in no time: an audit,
which hashes every byte, finds that.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import time_ns
from typing import TypeGuard

from preceptor.lake.table_files import Signature
from preceptor.paths import cache_folder

LARGE = 1 << 20  # bytes: smaller files are hashed as quickly as their entry is read
SETTLED = 2 * 10**9  # nanoseconds: more than a tick of any file system's clock
Sound = dict[str, tuple[str, Signature]]  # a file's name → its hash, and what it looked like then


def found_sound(table: str) -> Sound:
    """What earlier processes found of the table at this address; whatever cannot be read was never there."""
    try:
        said = json.loads(_kept(table).read_text())
        return {str(name): (str(sha), tuple(map(int, signature))) for name, (sha, signature) in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def is_settled(signature: Signature | None) -> TypeGuard[Signature]:
    """Whether a file is large, and another change to it would show: not one in the same tick of the clock."""
    return signature is not None and signature[2] >= LARGE and max(signature[:2]) < time_ns() - SETTLED


def keep_sound(table: str, sound: Mapping[str, tuple[str, Signature]]) -> None:
    """Keep what was found, beside what others did of files that are still there."""
    there = {name: found for name, found in found_sound(table).items() if Path(table, name).exists()}
    with suppress(OSError):  # a full or read-only disk: they are hashed again
        kept = _kept(table)
        kept.parent.mkdir(parents=True, exist_ok=True)
        incoming = kept.with_name(f".{os.getpid()}-{uuid.uuid4().hex}")
        incoming.write_text(json.dumps({**there, **sound}))
        incoming.replace(kept)


def _kept(table: str) -> Path:
    return cache_folder() / "tables" / hashlib.sha256(table.encode("utf-8", "surrogateescape")).hexdigest()
