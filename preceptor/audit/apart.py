"""Runs work on possibly damaged files in a child process, so that a crash in a library ends only the child.

Run as a module, this file is the child process.
"""

import contextlib
import functools
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from preceptor.audit.folder import AuditError
from preceptor.lake.store import LakeError, NotMaterializedError

Result = TypeVar("Result")
READABLE = (AuditError, LakeError, NotMaterializedError)  # errors with a message for people


class ApartError(RuntimeError):
    """The child process did not finish its work. The message says how it ended."""


def apart(work: Callable[[], Result]) -> Result:
    """Run `work` in the child process and return its result. Both must be picklable.

    Raises the errors of READABLE that `work` raises, and ApartError for everything else, including the death
    of the process.
    """
    child = _child()
    try:
        child.connection.send(work)
        answer = child.connection.recv()
    except (EOFError, OSError, pickle.PickleError) as error:
        raise ApartError(child.end()) from error
    except BaseException:
        child.end()
        raise
    if isinstance(answer, BaseException):
        raise answer
    result: Result = answer
    return result


class _Child:
    """The child process. It writes nothing to our terminal. It ends with us, because its socket closes."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "preceptor.audit.apart", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self.connection = Connection(ours.detach())

    def end(self) -> str:
        """Make sure that the process has ended, and return how it ended."""
        _child.cache_clear()
        self.connection.close()
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "its process did not end and was killed"
        with contextlib.suppress(ValueError):
            return f"its process was ended by {signal.Signals(-status).name}"
        return f"its process ended with status {status}"


@functools.cache
def _child() -> _Child:
    """The child process, shared by all calls because it starts slowly."""
    return _Child()


def _serve(connection: Connection) -> None:
    with contextlib.suppress(EOFError):
        while True:
            connection.send(_answer(connection.recv()))


def _answer(work: Callable[[], object]) -> object:
    try:
        return work()
    except READABLE as error:
        return error
    except BaseException as error:  # a Rust panic is not an Exception
        return ApartError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    from preceptor.audit.apart import _serve as serve

    serve(Connection(int(sys.argv[1])))
    os._exit(0)
