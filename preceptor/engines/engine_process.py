"""Controls an engine in a child process: start it, exchange messages, and end it with all its children."""

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

LOOK_SECONDS = 0.5  # between checks that the child still runs
STOP_SECONDS = 10.0
TAIL_LINES = 25
# Disables vLLM's usage reports, and enables its count of NaN in logits.
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_COMPUTE_NANS_IN_LOGITS": "1", "PYTHONUNBUFFERED": "1"}


class EngineError(RuntimeError):
    """An engine cannot start or continue. The message gives the reason and the end of the engine's log."""


class EngineProcess:
    """A child process in its own session, so that one signal ends it and all processes that it started.

    Its output goes to a file, because vLLM prints a lot, including the reasons of failures. Its temporary
    files go to the same folder, because vLLM leaves some behind.
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
        """The next message, or None after `seconds`. Raises EOFError where the child is dead."""
        end = time.monotonic() + seconds
        try:
            while not self._connection.poll(min(LOOK_SECONDS, max(0.0, end - time.monotonic()))):
                # The child's own children may keep the pipe open after its death, without end of file.
                if self._exited() and not self._connection.poll():
                    raise EOFError
                if time.monotonic() >= end:
                    return None
            message: FromEngine = self._connection.recv()
        except OSError as error:
            raise EOFError from error
        return message

    def log_tail(self) -> str:
        """The last lines of the output of the child and its children."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def stop(self) -> None:
        """Ask the child to end, and kill it after STOP_SECONDS."""
        self.send(Stop())
        end = time.monotonic() + STOP_SECONDS
        while not self._exited() and time.monotonic() < end:
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End the child and all its children now, and delete its log and temporary files."""
        # Before waiting for the child: until then no other process can get its id.
        end_group(self.pid)
        self._child.wait()
        self._outbox.finish(STOP_SECONDS)
        self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _exited(self) -> bool:
        """Whether the child has ended. Does not reap it (see `kill`)."""
        if self._child.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def worker_command(module: str) -> tuple[str, ...]:
    """The command line that runs a Python module."""
    return (sys.executable, "-m", module)
