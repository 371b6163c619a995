"""Collects finished rows for the staging table. No row waits for its commit longer than a few seconds."""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

Row = Mapping[str, Any]
SECONDS_PER_COMMIT = 2.0  # finished work that a kill can lose; a commit takes tens of milliseconds


class Waiting:
    """Collects rows and commits them together, at most SECONDS_PER_COMMIT after the first of them.

    A thread watches the time, since an engine may yield its next row only minutes later.
    """

    def __init__(self, commit: Callable[[list[Row]], None]) -> None:
        self._commit = commit
        self._rows: list[Row] = []
        self._since = 0.0  # when the first waiting row was added
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
        """Commit the waiting rows, even if the engine failed: rows that it finished are not lost."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._watcher.join()
        self._raise()
        self._commit_now()

    def add(self, row: Row) -> None:
        """Add a finished row. Raises the error of an earlier commit, if it failed."""
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
        rows, self._rows = self._rows, []  # cleared first: an interrupted commit may still have succeeded
        if rows:
            self._commit(rows)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
