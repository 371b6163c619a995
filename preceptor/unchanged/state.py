"""The state of a step as a few hashes: all its inputs and everything that it wrote."""

import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from preceptor.soundness import installed_packages
from preceptor.study.schema import Study
from preceptor.unchanged.dependence import Dependence, Key, Place, dependence
from preceptor.unchanged.tables import LiveTables

CHECKOUT = Path(__file__).parents[2]
CODE = ("preceptor", "assets", "resources", "sql", "definitions.py")


@dataclass(frozen=True)
class Inputs:
    """Hashes of a step's inputs.

    - `made_by`: the code.
    - `made_of`: the settings, with the files that they name.
    - `read`: the rows that the step reads.
    """

    made_by: str
    made_of: str
    read: str


@dataclass(frozen=True)
class State:
    """A step's inputs, a hash of what it wrote, and the files that it shares with other steps."""

    inputs: Inputs
    written: str
    shared: tuple[str, ...] = ()

    def holds(self, now: "State") -> bool:
        """Whether this state is still the same. Other steps may have added shared files."""
        same = (self.inputs, self.written) == (now.inputs, now.written)
        return same and {*self.shared} <= {*now.shared}


def inputs_of(study: Study, asset: str, key: Key, tables: LiveTables) -> Inputs | None:
    """A step's inputs now, or None if they cannot be determined."""
    try:
        return _inputs(dependence(study, asset, key, tables), tables)
    except Exception:  # a missing file, hub or table: the step reports it itself
        return None


def state_of(
    study: Study, asset: str, key: Key, tables: LiveTables, published: int | None = None
) -> State | None:
    """A step's state now, or None if it cannot be determined, so that the step must run.

    `published` is the table version in which the step found or wrote its rows. If other rows have replaced
    them since, the state is None.
    """
    try:
        found = dependence(study, asset, key, tables)
        if any(tables.unfinished(*place) for place in (*found.writes, *found.shared)):
            return None
        if published is not None and tables.replaced(*found.writes[0], published):
            return None
        written = _digest([_files(tables, found.writes), found.stored])
        shared = (file for _, files in _files(tables, found.shared) for file in files)
        return State(_inputs(found, tables), written, tuple(shared))
    except Exception:  # as above
        return None


def _inputs(found: Dependence, tables: LiveTables) -> Inputs:
    return Inputs(made_by(), _digest(found.made_of), _digest(_files(tables, found.reads)))


def _files(tables: LiveTables, places: tuple[Place, ...]) -> list[tuple[str, list[str]]]:
    return [(tables.lake.uri(table), tables.files(table, partition)) for table, partition in places]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@cache
def made_by() -> str:
    """A hash of this checkout's code and of the versions of Python and all installed packages.

    After any change of these, every step runs once more. If code changed after this process began, it is
    unknown which code the process runs, so the result is a random value that equals no other.
    """
    files = list(_code())
    if max(file.stat().st_ctime for file in files) > _began() - 2:  # 2 s for a file system's own clock
        return uuid.uuid4().hex
    code = {str(file.relative_to(CHECKOUT)): file.read_bytes().hex() for file in files}
    return _digest([code, sys.version, installed_packages()])


def _began() -> float:
    """When this process began, in seconds since 1970. A minute ago if the kernel does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        ticks = int(fields.split()[22 - 3])  # see proc_pid_stat(5); field 2 may contain blanks
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):
        return time.time() - 60


def _code() -> Iterator[Path]:
    for name in CODE:
        place = CHECKOUT / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file
