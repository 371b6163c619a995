"""Builds bubblewrap's command, which limits what a program from a model can see and use."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from preceptor.evaluation.humaneval.system_calls import REFUSED, refusals

MIB = 2**20
NOBODY = "65534"
INSTALL = (
    "HumanEval runs programs that a model wrote only inside bubblewrap 0.8 or later, on Linux: install it"
    " with 'apt install bubblewrap' (Debian, Ubuntu) or 'dnf install bubblewrap' (Fedora)"
)

# The script that Python runs in the sandbox. It drops root, sets its limits, hides its channel from input()
# and print(), and reads the nonce only after the tests have returned.
RUNNER = """
import os, resource, sys, types
from os import _exit, read, write

if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
limited = (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
for what, most in zip((*limited, resource.RLIMIT_CORE), map(int, sys.argv[1:])):
    resource.setrlimit(what, (most, most))
channel, null = os.dup(0), os.open(os.devnull, os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(null, standard)
write(channel, b"+")

def receive(size):
    data = b""
    while len(data) < size:
        data += read(channel, size - len(data)) or _exit(1)
    return data

source = receive(int.from_bytes(receive(8), "big"))
module = sys.modules["program"] = types.ModuleType("program")
try:
    exec(compile(source.decode(), "program", "exec"), module.__dict__)
except BaseException as error:
    write(channel, f"{type(error).__name__}: {error}"[:200].encode(errors="replace"))
    _exit(1)
write(channel, receive(32))
_exit(0)
"""


class SandboxError(RuntimeError):
    """Programs cannot run safely on this machine. The message says what to install or to allow."""


@dataclass(frozen=True)
class Limits:
    """The limits of one program: seconds, bytes, files. It cannot start processes or threads.

    The published harness allows 3 s of wall-clock time (openai/human-eval). Here they are CPU time, which
    does not depend on the machine's load.
    """

    cpu_seconds: int = 3
    wall_seconds: float = 15.0
    memory: int = 512 * MIB
    disk: int = 16 * MIB
    open_files: int = 64


def system_call_filter() -> bytes:
    """The seccomp filter of this machine. Raises SandboxError for an unknown architecture."""
    machine = platform.machine()
    if machine not in REFUSED:
        known = ", ".join(REFUSED)
        raise SandboxError(f"HumanEval's sandbox supports {known}, but this machine is {machine}")
    return refusals(machine)


def command(limits: Limits, filter_descriptor: int) -> list[str]:
    """bubblewrap's command, with a Python that runs RUNNER. Raises SandboxError if it is not installed."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise SandboxError(f"{INSTALL}; there is no command 'bwrap'")
    lifetime = "--die-with-parent --new-session --clearenv --setenv PYTHONHASHSEED 0 --hostname sandbox"
    isolation = [*_namespaces(), *lifetime.split(), *_readable(), *_private(limits.disk)]
    return [bubblewrap, *isolation, "--seccomp", str(filter_descriptor), "--", *_python(limits)]


def _namespaces() -> list[str]:
    if os.geteuid() != 0:
        return ["--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY]
    namespaces = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try"
    return f"{namespaces} --cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID".split()


def _private(disk: int) -> list[str]:
    """Everything else, read-only except for /tmp.

    /proc/1 is covered, because code that can write to process 1 (bubblewrap) would escape the limits.
    """
    processes = "--proc /proc --size 4096 --tmpfs /proc/1 --remount-ro /proc/1"
    files = (
        f"--dev /dev --remount-ro /dev --perms 1777 --size {disk} --tmpfs /tmp --chdir /tmp --remount-ro /"
    )
    return f"{processes} {files}".split()


def _python(limits: Limits) -> list[str]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    most = (limits.cpu_seconds, limits.memory, limits.disk, limits.open_files, 0)
    alone = "-P -s -S -B -X utf8".split()  # -I without -E, which would ignore the variable PYTHONHASHSEED
    return [str(_prefix() / "bin" / version), *alone, "-c", RUNNER, *map(str, most)]


def _readable() -> list[str]:
    """What Python needs, read-only: its installation folder and the system's libraries."""
    binds = ["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for folder in map(Path, ("/lib", "/lib64")):
        if folder.is_symlink():
            binds += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.exists():
            binds += ["--ro-bind", str(folder), str(folder)]
    prefix = _prefix()
    if not prefix.is_relative_to("/usr"):
        for parent in reversed(prefix.parents[:-1]):
            binds += ["--perms", "0755", "--dir", str(parent)]  # the default is readable by its user only
        binds += ["--ro-bind", str(prefix), str(prefix)]
    return binds


def _prefix() -> Path:
    """The installation folder of this Python, also inside a virtual environment."""
    return Path(sys.base_prefix).resolve()
