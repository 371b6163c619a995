"""Work on files that may be damaged, in a process of its own: what a library does there ends only that.

As a module, it is that process.
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
SAID = (AuditError, LakeError, NotMaterializedError)  # whose text is for a person


class ApartError(RuntimeError):
    """The work ended before its end; the text says how."""


def apart(work: Callable[[], Result]) -> Result:
    """What `work` returns, which like its result must be picklable.

    Raises what it raises of SAID, and ApartError for anything else, its process' death included.
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
    """It says nothing on our terminal, and ends when we do: its socket closes then."""

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
        """End it, and how it had ended by itself."""
        _child.cache_clear()
        self.connection.close()
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "it was stopped"
        with contextlib.suppress(ValueError):
            return f"its process was ended by {signal.Signals(-status).name}"
        return f"its process ended with status {status}"


@functools.cache
def _child() -> _Child:
    """One serves for all: it starts slowly."""
    return _Child()


def _serve(connection: Connection) -> None:
    with contextlib.suppress(EOFError):
        while True:
            connection.send(_answer(connection.recv()))


def _answer(work: Callable[[], object]) -> object:
    try:
        return work()
    except SAID as error:
        return error
    except BaseException as error:  # Rust's panics are no Exception
        return ApartError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked ends it
    from preceptor.audit.apart import _serve as serve

    serve(Connection(int(sys.argv[1])))
    os._exit(0)
