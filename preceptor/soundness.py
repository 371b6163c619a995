"""Checks that take seconds, by importing transformers or by reading a file through, are not made twice.

What a check found sound is remembered for as long as all that it hangs on is the same: the files, or those
in the folders, what it was asked, the packages installed, Python, and this code. What is wrong is never
remembered: it is found again each time, and so is what a check only warned of.
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

SMALL = 1 << 20  # bytes: files below are hashed, of weights size and times are taken for what they hold
SETTLED = 2 * 10**9  # nanoseconds: more than a tick of any file system's clock
LOGGERS = (None, "transformers")  # which hands nothing on to the root
Found = TypeVar("Found")


def unless_sound(asked: Any, places: Iterable[str], ask: Callable[[], Found], sound: Found) -> Found:
    """What `ask` finds; `sound`, unasked, where that was found before of the same places and settings.

    `asked` says in JSON what is asked of these files and folders; one that is not there counts as that.
    """
    began = time_ns()
    try:
        files = [line for place in places for line in _files(Path(place), began)]
    except OSError:  # which the check will say in its own words
        return ask()
    text = json.dumps([asked, files, _surroundings()], sort_keys=True, default=str)
    kept = cache_folder() / "sound" / hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    with suppress(OSError):
        if kept.exists():
            return sound
    with _warnings() as said:
        found = ask()
    if found == sound and not said and all(files):
        with suppress(OSError):  # a full or read-only disk: it is asked again
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.touch()
    return found


def _files(place: Path, now: int) -> Iterator[str]:
    """A line per file that changes with it; an empty one for a file that may yet change unseen."""
    yield f"{place} {place.is_dir()}"
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        if not file.is_file():
            continue
        there = file.stat()
        if there.st_size < SMALL:
            mark = hashlib.sha256(file.read_bytes()).hexdigest()
        elif max(there.st_mtime_ns, there.st_ctime_ns) > now - SETTLED:
            mark = ""
        else:  # nobody can set the second time back
            mark = f"{there.st_size} {there.st_mtime_ns} {there.st_ctime_ns} {there.st_ino}"
        yield f"{file.relative_to(place)} {mark}" if mark else ""


@cache
def _surroundings() -> list[str]:
    """Python, the packages by name and version, and this code."""
    here = Path(__file__).parent
    code = hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        code.update(f"{file.relative_to(here)}\0".encode() + file.read_bytes())
    return [sys.version, *installed_packages(), code.hexdigest()]


def installed_packages() -> list[str]:
    """Every package beside this Python or named by PYTHONPATH, with its version.

    Not those of `sys.path`, which packages lengthen as they are imported.
    """
    named = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *named}
    return sorted({found.name for place in places for found in Path(place).glob("*.*-info")})


class _Ear(logging.Handler):
    """Keeps what is logged that a person should read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record)


@contextmanager
def _warnings() -> Iterator[list[logging.LogRecord]]:
    """What is said meanwhile, which a check that is not made would not say."""
    ear = _Ear()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(ear)
    try:
        yield ear.said
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(ear)
