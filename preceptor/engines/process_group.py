"""Ending a process group at once, with the shared memory that its members would leave behind."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SEGMENT = re.compile(r" (/dev/shm/psm_\w+)$", re.MULTILINE)  # as multiprocessing names them


def end_group(group: int) -> None:
    """Kill every process of the group; one that is gone already is no error.

    Who tidies up shared memory is a member too, so it is unlinked here first.
    """
    for segment in {segment for pid in _members(group) for segment in _segments(pid)}:
        segment.unlink(missing_ok=True)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _members(group: int) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group:
                yield pid


def _segments(pid: int) -> list[Path]:
    with suppress(OSError):  # it ended meanwhile
        return [Path(path) for path in SEGMENT.findall(Path(f"/proc/{pid}/maps").read_text())]
    return []
