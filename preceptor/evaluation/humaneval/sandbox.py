"""Runs programs from a model, and detects which of them passed their tests."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from preceptor.evaluation.humaneval.isolation import Limits, SandboxError, command, system_call_filter

STARTED = b"+"  # the first byte that the runner sends
NONCE_BYTES = 32
ANSWER_BYTES = 1000  # more than the runner ever sends
KILLED = 128 + 9  # bubblewrap's exit status for a program ended by SIGKILL
NO_ENVIRONMENT: dict[str, str] = {}
FORBIDDEN = (
    "it is older than 0.8, or the kernel or the container forbids what it needs. If user namespaces are"
    " forbidden, an administrator can allow them with 'sysctl user.max_user_namespaces=10000', on Debian with"
    " 'sysctl kernel.unprivileged_userns_clone=1', on Ubuntu with"
    " 'sysctl kernel.apparmor_restrict_unprivileged_userns=0'. A container needs '--cap-add SYS_ADMIN"
    " --security-opt seccomp=unconfined --security-opt apparmor=unconfined'"
)


@dataclass(frozen=True)
class ProgramResult:
    """Whether a program passed, the reason if it did not, and its run time."""

    passed: bool
    why: str | None
    seconds: float


@dataclass(frozen=True)
class Sandbox:
    """Runs programs with no network, file, process, user or environment of this machine.

    They see Python, /usr and the C libraries read-only, their own /tmp, and no other process. If root starts
    them, they run as nobody without a user namespace, because root mapped into one still owns /dev/null and
    /proc/sys. Otherwise they run as nobody of their own user namespace.

    A program has passed if it returns a nonce, which its interpreter reads after the program's last line.
    Before that, the nonce is unread in a socket, so no exit, exception or print can look like success. Two
    ways to cheat remain: code written for this sandbox that finds the socket, reads the nonce and writes it;
    and, as in every harness, objects that are equal to everything.
    """

    limits: Limits

    def check(self) -> None:
        """Run a trivial program. Raises SandboxError with what to install or to allow."""
        outcome = self.run("pass")
        if not outcome.passed:
            raise SandboxError(f"an empty program does not pass in the sandbox ({outcome.why}): raise Limits")

    def run_all(self, programs: Sequence[str], workers: int) -> list[ProgramResult]:
        """Results in the programs' order, `workers` programs at a time. Raises SandboxError."""
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.run, programs))

    def run(self, program: str) -> ProgramResult:
        """One program's result. Raises SandboxError if the sandbox itself does not start."""
        start = time.monotonic()
        nonce = secrets.token_bytes(NONCE_BYTES)
        source = program.encode(errors="replace")
        with self._started() as (process, channel):
            message = len(source).to_bytes(8, "big") + source + nonce
            answer = _answer(channel, message, start + self.limits.wall_seconds)
            in_time = _ended(process, start + self.limits.wall_seconds)
            process.kill()
            complaint = process.stderr.read(ANSWER_BYTES).decode(errors="replace") if process.stderr else ""
        if not answer.startswith(STARTED):
            raise SandboxError(_not_started(complaint.strip()))
        seconds = time.monotonic() - start
        if answer == STARTED + nonce:
            return ProgramResult(True, None, seconds)
        status = process.returncode if in_time else None
        return ProgramResult(False, self._why(answer.removeprefix(STARTED), status, seconds), seconds)

    @contextmanager
    def _started(self) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
        """bubblewrap's process and our end of the program's socket. The process is killed at the end."""
        refused = system_call_filter()
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe()
        with ours, theirs, os.fdopen(reader), os.fdopen(writer, "wb") as pipe:
            pipe.write(refused)
            pipe.close()
            process = subprocess.Popen(
                command(self.limits, reader),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                pass_fds=[reader],
                env=NO_ENVIRONMENT,
            )
            theirs.close()
            with process:
                try:
                    yield process, ours
                finally:
                    process.kill()

    def _why(self, said: bytes, status: int | None, seconds: float) -> str:
        """The reason of a failure. `status` is None for a program that did not end in time."""
        if status is None or (status == KILLED and seconds >= self.limits.cpu_seconds):
            return "timeout"
        if said.startswith(b"MemoryError"):
            return "memory"
        if said:
            return "failed: " + "".join(filter(str.isprintable, said.decode(errors="replace")))
        return f"killed by signal {status - 128}" if status > 128 else "ended before its tests did"


def _answer(channel: socket.socket, message: bytes, deadline: float) -> bytes:
    """The bytes that come back, until the other side closes, the deadline, or more than ANSWER_BYTES."""
    answer = b""
    with suppress(OSError):  # also a time-out; a side that closed early may still have sent an answer
        channel.settimeout(_left(deadline))
        channel.sendall(message)
    with suppress(OSError):
        while len(answer) <= ANSWER_BYTES:
            channel.settimeout(_left(deadline))
            if not (part := channel.recv(ANSWER_BYTES)):
                break
            answer += part
    return answer


def _ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(_left(deadline))
    except subprocess.TimeoutExpired:
        return False
    return True


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def _not_started(complaint: str) -> str:
    return f"bubblewrap did not start ({complaint or 'no message'}): {FORBIDDEN}"
