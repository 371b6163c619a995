"""The owner's side of an engine in a child process: start it, hear from it, end it and all below it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from preceptor.engines.messages import FromEngine, Outbox, Settings, Stop, ToEngine
from preceptor.engines.process_group import end_group

LOOK_SECONDS = 0.5  # between looks at whether the child still lives
STOP_SECONDS = 10.0
TAIL_LINES = 25
# vLLM reports its use to its makers unless it is told not to, and counts NaN in logits only if it is told to.
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_COMPUTE_NANS_IN_LOGITS": "1", "PYTHONUNBUFFERED": "1"}


class EngineError(RuntimeError):
    """An engine that cannot start or go on; its text says why and shows the end of its log."""


class EngineProcess:
    """A child in a session of its own, so that one signal ends it and whatever it has started.

    Its standard output goes to a file, since vLLM prints a lot and says there why it fails; its temporary
    files lie beside it, since vLLM leaves some.
    """

    def __init__(self, command: tuple[str, ...], settings: Settings) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="preceptor-vllm-"))
        self._log = self._folder / "log.txt"
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("w") as log:
            self._child = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=os.environ | ENVIRONMENT | {"TMPDIR": str(self._folder)},
            )
        self.pid = self._child.pid
        self._connection = Connection(ours.detach())
        self._outbox = Outbox(self._connection)
        self.send(settings)

    def send(self, message: ToEngine) -> None:
        """Send without waiting."""
        self._outbox.put(message)

    def receive(self, seconds: float) -> FromEngine | None:
        """The next message, or None after this time. Raises EOFError where the child is dead."""
        end = time.monotonic() + seconds
        try:
            while not self._connection.poll(min(LOOK_SECONDS, max(0.0, end - time.monotonic()))):
                # What the child started may hold the pipe open after its death: no end of file then.
                if self._exited() and not self._connection.poll():
                    raise EOFError
                if time.monotonic() >= end:
                    return None
            message: FromEngine = self._connection.recv()
        except OSError as error:
            raise EOFError from error
        return message

    def log_tail(self) -> str:
        """The last lines that the child and its children wrote."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def stop(self) -> None:
        """Ask it to end, and after some seconds make it end."""
        self.send(Stop())
        end = time.monotonic() + STOP_SECONDS
        while not self._exited() and time.monotonic() < end:
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End it and everything under it now, and delete its log and temporary files."""
        # Before the child is waited for: until then nothing else can have its number.
        end_group(self.pid)
        self._child.wait()
        self._outbox.finish(STOP_SECONDS)
        self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _exited(self) -> bool:
        """Whether it has ended, without taking note of that for the system (see `kill`)."""
        if self._child.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def worker_command(module: str) -> tuple[str, ...]:
    """The command line of a Python module."""
    return (sys.executable, "-m", module)
