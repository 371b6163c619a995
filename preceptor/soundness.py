"""Cache the results of slow checks, which import transformers or read whole files.

A sound result is cached while everything that it depends on stays the same: the files and folders, the
check's settings, the installed packages, Python, and this code. Problems and warnings are never cached, so
they are reported each time.
"""

import hashlib
import json
import logging
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from time import time_ns
from typing import Any, TypeVar

from preceptor.paths import cache_folder

SMALL = 1 << 20  # bytes; smaller files are hashed, larger ones are identified by size and times
SETTLED = 2 * 10**9  # nanoseconds, more than a clock tick of any file system
LOGGERS = (None, "transformers")  # transformers does not propagate to the root logger
Found = TypeVar("Found")


def unless_sound(asked: Any, places: Iterable[str], ask: Callable[[], Found], sound: Found) -> Found:
    """The result of `ask`, or `sound` without asking if that was the result for the same places and settings.

    `asked` describes the check in JSON. A missing file or folder is part of the state too.
    """
    began = time_ns()
    try:
        files = [line for place in places for line in _files(Path(place), began)]
    except OSError:  # the check reports it
        return ask()
    text = json.dumps([asked, files, _surroundings()], sort_keys=True, default=str)
    kept = cache_folder() / "sound" / hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    with suppress(OSError):
        if kept.exists():
            return sound
    with _warnings() as said:
        found = ask()
    if found == sound and not said and all(files):
        with suppress(OSError):  # on a full or read-only disk the check runs again
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.touch()
    return found


def _files(place: Path, now: int) -> Iterator[str]:
    """A line per file that changes with the file; empty for a file that could still change unnoticed."""
    yield f"{place} {place.is_dir()}"
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        if not file.is_file():
            continue
        there = file.stat()
        if there.st_size < SMALL:
            mark = hashlib.sha256(file.read_bytes()).hexdigest()
        elif max(there.st_mtime_ns, there.st_ctime_ns) > now - SETTLED:
            mark = ""
        else:  # ctime cannot be set back
            mark = f"{there.st_size} {there.st_mtime_ns} {there.st_ctime_ns} {there.st_ino}"
        yield f"{file.relative_to(place)} {mark}" if mark else ""


@cache
def _surroundings() -> list[str]:
    """The versions of Python and all packages, and a hash of this code."""
    here = Path(__file__).parent
    code = hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        code.update(f"{file.relative_to(here)}\0".encode() + file.read_bytes())
    return [sys.version, *installed_packages(), code.hexdigest()]


def installed_packages() -> list[str]:
    """Every package in this Python's site-packages or on PYTHONPATH, with its version.

    `sys.path` is not used, because packages extend it when they are imported.
    """
    named = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *named}
    return sorted({found.name for place in places for found in Path(place).glob("*.*-info")})


class _Ear(logging.Handler):
    """Collects warnings and errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record)


@contextmanager
def _warnings() -> Iterator[list[logging.LogRecord]]:
    """The warnings that are logged inside the block. A cached check would not repeat them."""
    ear = _Ear()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(ear)
    try:
        yield ear.said
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(ear)
