"""Finished rows on their way into the staging table: none waits for its commit longer than a few seconds."""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

Row = Mapping[str, Any]
SECONDS_PER_COMMIT = 2.0  # of finished work, what a kill loses; a commit itself takes tens of milliseconds


class Waiting:
    """Rows that wait for their commit, together with what finishes soon after them.

    A thread watches the time: an engine may be silent for minutes after the last row that it gave.
    """

    def __init__(self, commit: Callable[[list[Row]], None]) -> None:
        self._commit = commit
        self._rows: list[Row] = []
        self._since = 0.0  # when the first of them came
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._watcher = threading.Thread(target=self._watch, name="commits", daemon=True)

    def __enter__(self) -> "Waiting":
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what is there, also where the engine failed: what was finished before is not lost."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._watcher.join()
        self._raise()
        self._commit_now()

    def add(self, row: Row) -> None:
        """Take a finished row. Raises what an earlier commit raised."""
        with self._changed:
            self._raise()
            if not self._rows:
                self._since = time.monotonic()
                self._changed.notify()
            self._rows.append(row)
            if self._left() <= 0:
                self._commit_now()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                left = self._left()
                if left > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                    continue
                try:
                    self._commit_now()
                except BaseException as error:
                    self._error = error
                    return

    def _left(self) -> float:
        """Seconds until the next commit is due."""
        return self._since + SECONDS_PER_COMMIT - time.monotonic() if self._rows else float("inf")

    def _commit_now(self) -> None:
        rows, self._rows = self._rows, []  # first: a commit that was broken off may be there all the same
        if rows:
            self._commit(rows)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
