"""Which process a run belongs to and whether it lives; how a process of many steps ends, and keeps house.

A number alone says nothing: numbers are used again, and in every container somebody is 1. A process is its
number and the moment it began, counted from a boot of which the kernel knows a name.
"""

import atexit
import gc
import multiprocessing
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# Dagster's UI shows no tag that begins with `.dagster/`: four a run would fill its list of runs.
HIDDEN, BEFORE = ".dagster/preceptor_", "preceptor/"  # runs of a home from before have tags that show
HOST, PROCESS, BEGAN, BOOT = (f"{HIDDEN}{fact}" for fact in ("host", "process", "process_began", "boot"))
ENDED = ("Z", "X")  # a zombie holds nothing: only its parent has not asked yet how it ended


class Fate(Enum):
    """What this machine can say of a run's process."""

    LIVES = "lives"
    GONE = "gone"
    UNSEEN = "unseen"  # on another host
    UNNAMED = "unnamed"  # started through Dagster's server, which looks after it


def process_tags() -> dict[str, str]:
    """Tags by which a later process can tell that this one is gone."""
    number = str(os.getpid())
    return {HOST: socket.gethostname(), PROCESS: number, BEGAN: began(number) or "", BOOT: boot()}


@dataclass(frozen=True)
class RunProcess:
    """The process of a run, as its tags name it; None where they do not say."""

    number: str
    host: str | None
    began: str | None
    boot: str | None


def process_of(tags: Mapping[str, str]) -> RunProcess | None:
    """Which process a run's tags name; None for a run of Dagster's server."""
    number, host, start, boot_id = (
        tags.get(tag, tags.get(BEFORE + tag.removeprefix(HIDDEN))) for tag in (PROCESS, HOST, BEGAN, BOOT)
    )
    return None if number is None else RunProcess(number, host, start, boot_id)


def fate(tags: Mapping[str, str]) -> Fate:
    """Whether the process that these tags name still lives. After a boot of its host none does."""
    process = process_of(tags)
    if process is None:
        return Fate.UNNAMED
    if process.host != socket.gethostname():
        return Fate.UNSEEN
    now = began(process.number)
    same = now is not None and process.began in (None, now) and process.boot in (None, boot())
    return Fate.LIVES if same else Fate.GONE


def began(number: str) -> str | None:
    """When the process of this number began, in ticks of the clock since the boot; None where it has ended.

    It is field 22 of /proc/<number>/stat (proc_pid_stat(5)); the state is field 3. Field 2 is the program's
    name in brackets, which may hold blanks and brackets itself.
    """
    try:
        line = Path("/proc", number, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()  # from field 3 on
    return None if fields[0] in ENDED else fields[22 - 3]


def boot() -> str:
    """The kernel's name for the time since this machine was started; nothing where it gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def end_with_parent() -> None:
    """Let this process end when the one that it is a worker of is gone; nothing where it is no worker.

    A worker whose parent was killed would wait for work for ever; a step whose run was killed would go on,
    beside its own retry.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def after_a_step() -> None:
    """Set aside what the next steps need too, some 700,000 objects of modules, from the search for garbage.

    Each step that gives back a model's memory searches, and each search took 0.4 s. What a step left as
    garbage goes first; at the end all of it is searched, as libraries that count their objects expect.
    """
    gc.collect()
    gc.freeze()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
