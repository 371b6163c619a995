"""Identify a run's process and tell whether it is alive; end workers with their parent; collect garbage.

A process id alone identifies no process: ids are reused, and every container has an id 1. A process is
identified by its id, its start time in ticks since boot, and the kernel's id of that boot.
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

# Dagster's UI hides tags that begin with `.dagster/`. Four visible tags per run would fill its list of runs.
HIDDEN, BEFORE = ".dagster/preceptor_", "preceptor/"  # older runs have the visible prefix
HOST, PROCESS, BEGAN, BOOT = (f"{HIDDEN}{fact}" for fact in ("host", "process", "process_began", "boot"))
ENDED = ("Z", "X")  # zombie and dead: a zombie has ended, and waits only for its parent to read its status


class Fate(Enum):
    """What this machine knows of a run's process."""

    LIVES = "lives"
    GONE = "gone"
    UNSEEN = "unseen"  # on another host
    UNNAMED = "unnamed"  # no process tags: started by Dagster's server, which monitors it


def process_tags() -> dict[str, str]:
    """Tags that let a later process tell whether this one is gone."""
    number = str(os.getpid())
    return {HOST: socket.gethostname(), PROCESS: number, BEGAN: began(number) or "", BOOT: boot()}


@dataclass(frozen=True)
class RunProcess:
    """The process of a run according to its tags; None for a missing tag."""

    number: str
    host: str | None
    began: str | None
    boot: str | None


def process_of(tags: Mapping[str, str]) -> RunProcess | None:
    """The process in a run's tags; None for a run of Dagster's server."""
    number, host, start, boot_id = (
        tags.get(tag, tags.get(BEFORE + tag.removeprefix(HIDDEN))) for tag in (PROCESS, HOST, BEGAN, BOOT)
    )
    return None if number is None else RunProcess(number, host, start, boot_id)


def fate(tags: Mapping[str, str]) -> Fate:
    """Whether the process in these tags is alive. A process from before its host's last boot is gone."""
    process = process_of(tags)
    if process is None:
        return Fate.UNNAMED
    if process.host != socket.gethostname():
        return Fate.UNSEEN
    now = began(process.number)
    same = now is not None and process.began in (None, now) and process.boot in (None, boot())
    return Fate.LIVES if same else Fate.GONE


def began(number: str) -> str | None:
    """The start time of the process with this id, in clock ticks since boot; None if it has ended.

    It is field 22 of /proc/<id>/stat (proc_pid_stat(5)); field 3 is the state. Field 2 is the program's name
    in brackets, which may itself contain spaces and brackets.
    """
    try:
        line = Path("/proc", number, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()  # from field 3 on
    return None if fields[0] in ENDED else fields[22 - 3]


def boot() -> str:
    """The kernel's id of this machine's current boot; empty if there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def end_with_parent() -> None:
    """End this process when its parent ends, if it is a worker process.

    Otherwise a worker would wait for work forever after its parent is killed, and a step of a killed run
    would continue beside its own retry.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def after_a_step() -> None:
    """Collect garbage, then exclude the remaining objects from later collections until the process exits.

    They are some 700,000 objects of modules that the next steps need too. Each step that releases a model's
    memory collects garbage, and scanning them took 0.4 s each time. At exit all objects are scanned, as
    libraries that count their objects expect.
    """
    gc.collect()
    gc.freeze()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
