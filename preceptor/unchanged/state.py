"""The state of a step, all that it hangs on and all that it wrote, as a few hashes."""

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
    """Hashes of the code, of the settings with the files that they name, and of the rows that are read."""

    made_by: str
    made_of: str
    read: str


@dataclass(frozen=True)
class State:
    """What the step reads, a hash of what it wrote, and the files that it shares with other steps."""

    inputs: Inputs
    written: str
    shared: tuple[str, ...] = ()

    def holds(self, now: "State") -> bool:
        """Whether all of this is still so. To what is shared other steps may have added files."""
        same = (self.inputs, self.written) == (now.inputs, now.written)
        return same and {*self.shared} <= {*now.shared}


def inputs_of(study: Study, asset: str, key: Key, tables: LiveTables) -> Inputs | None:
    """What a step reads now; None where anything about it is in doubt."""
    try:
        return _inputs(dependence(study, asset, key, tables), tables)
    except Exception:  # a missing file, a dead hub, a damaged table: each step has its own words for it
        return None


def state_of(
    study: Study, asset: str, key: Key, tables: LiveTables, published: int | None = None
) -> State | None:
    """A step's state now; None where anything about it is in doubt, which the step itself must find out.

    `published` is the version of its table in which the step found or left its rows: somebody else may have
    replaced them since.
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


def _digest(said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@cache
def made_by() -> str:
    """A hash of this checkout's code, of Python's version, and of every installed package's.

    Whoever changes any of them has every step look at its rows again, once. Code that was changed since this
    process began is like none: nobody knows which of both is at work here.
    """
    files = list(_code())
    if max(file.stat().st_ctime for file in files) > _began() - 2:  # seconds: file systems have clocks too
        return uuid.uuid4().hex
    code = {str(file.relative_to(CHECKOUT)): file.read_bytes().hex() for file in files}
    return _digest([code, sys.version, installed_packages()])


def _began() -> float:
    """When this process began, in seconds since 1970; a minute ago where the kernel does not say."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        ticks = int(fields.split()[22 - 3])  # proc_pid_stat(5); field 2 may hold blanks
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):
        return time.time() - 60


def _code() -> Iterator[Path]:
    for name in CODE:
        place = CHECKOUT / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file
