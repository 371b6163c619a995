"""The state of a step, all that it hangs on and all that it wrote, as a few hashes."""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from preceptor.study.schema import Study
from preceptor.unchanged.dependence import Dependence, Key, Place, dependence
from preceptor.unchanged.tables import LiveTables

CHECKOUT = Path(__file__).parents[2]
CODE = ("preceptor", "assets", "resources", "sql", "definitions.py")


@dataclass(frozen=True)
class State:
    """Hashes; of what is shared with other steps the files themselves."""

    made_by: str
    made_of: str
    read: str
    written: str
    shared: tuple[str, ...] = ()

    def same_inputs(self, other: "State") -> bool:
        """Whether what the step reads is the same in both."""
        return (self.made_by, self.made_of, self.read) == (other.made_by, other.made_of, other.read)

    def holds(self, now: "State") -> bool:
        """Whether all of this is still so. To what is shared other steps may have added files."""
        return self.same_inputs(now) and self.written == now.written and {*self.shared} <= {*now.shared}


def state_of(study: Study, asset: str, key: Key, tables: LiveTables) -> State | None:
    """A step's state now; None where anything about it is in doubt, which the step itself must find out."""
    try:
        found = dependence(study, asset, key, tables)
        if any(tables.unfinished(*place) for place in (*found.writes, *found.shared)):
            return None
        return _state(found, tables)
    except Exception:  # a missing file, a dead hub, a damaged table: each step has its own words for it
        return None


def _state(found: Dependence, tables: LiveTables) -> State:
    return State(
        made_by(),
        _digest(found.made_of),
        _digest(_files(tables, found.reads)),
        _digest([_files(tables, found.writes), found.stored]),
        tuple(file for _, files in _files(tables, found.shared) for file in files),
    )


def _files(tables: LiveTables, places: tuple[Place, ...]) -> list[tuple[str, list[str]]]:
    return [(tables.lake.uri(table), tables.files(table, partition)) for table, partition in places]


def _digest(said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@cache
def made_by() -> str:
    """A hash of this checkout's code, of Python's version, and of every installed package's.

    Whoever changes any of them has every step look at its rows again, once.
    """
    code = {str(file.relative_to(CHECKOUT)): file.read_bytes().hex() for file in _code()}
    folders = (Path(folder) for folder in sys.path)
    packages = {found.name for folder in folders if folder.is_dir() for found in folder.glob("*.dist-info")}
    return _digest([code, sys.version, sorted(packages)])


def _code() -> Iterator[Path]:
    for name in CODE:
        place = CHECKOUT / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file
