"""Finds the running processes of a group."""

import re
import time
from contextlib import suppress
from pathlib import Path


def running() -> dict[int, tuple[int, int]]:
    """Process id → (parent, group), without zombies."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it ended meanwhile
        if state != "Z":
            found[int(stat.parent.name)] = (int(parent), int(group))
    return found


def members(group: int) -> list[int]:
    """The processes of a group."""
    return [pid for pid, (_, its_group) in running().items() if its_group == group]


def named(group: int, name: str) -> int:
    """The member of a group whose command line contains this name."""
    found = []
    for pid in members(group):
        with suppress(OSError):  # it ended meanwhile
            found += [pid] if name in Path(f"/proc/{pid}/cmdline").read_text() else []
    (one,) = found
    return one


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    return [child for child, (parent, _) in running().items() if parent == pid]


def gone(group: int, seconds: float = 300.0) -> bool:
    """Whether the whole group ends within `seconds`."""
    end = time.monotonic() + seconds
    while members(group):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def shared_memory_of(mark: str) -> set[Path]:
    """Shared memory that processes with this text in their environment have mapped."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if mark.encode() in (process / "environ").read_bytes():
                found.update(re.findall(r"/dev/shm/psm_\w+", (process / "maps").read_text()))
    return set(map(Path, found))
