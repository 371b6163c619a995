"""Kills a process group, except the resource trackers that clean up after its members."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TIDY_SECONDS = 60.0  # trackers may take seconds on a busy machine; killing them earlier would leak memory
LOOK_SECONDS = 0.02


def end_group(group: int) -> None:
    """Kill every process of another group, and return when they have ended."""
    end = time.monotonic() + TIDY_SECONDS
    while _kill_members(group) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def end_own_group() -> None:
    """Kill every process of this process's group, and then this process."""
    _kill_members(os.getpgrp())
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_members(group: int) -> bool:
    """Kill all members but this process and resource trackers. Returns whether there were other members.

    Python's resource trackers end by themselves, after they have freed the shared memory of the others.
    """
    found = False
    for pid, command in _members(group):
        if pid == os.getpid():
            continue
        found = True
        if b"resource_tracker" not in command:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return found


def _members(group: int) -> Iterator[tuple[int, bytes]]:
    """Process ids and command lines of a group's members, without zombies (they have no command line)."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            pid = int(process.name)
            if os.getpgid(pid) == group and (command := (process / "cmdline").read_bytes()):
                yield pid, command
