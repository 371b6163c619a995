"""A read-only DuckDB session over a study's tables, safe for any statement that a person types."""

import io
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Self, TypeVar

import duckdb

from preceptor.current import current_fingerprints, register_current
from preceptor.lake.schemas import TABLES, Table
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.shell.statements import sentence, without_end
from preceptor.study.schema import Study

MADE_BY = {  # the asset that writes a table, if it has another name than the table
    "student_responses": "eval_results",
    "judgments": "eval_results",
    "eval_scores": "eval_results",
    "eval_differences": "study_report",
    "predicted_actual": "study_report",
}
Result = TypeVar("Result")


class SqlError(RuntimeError):
    """A statement failed. The message is one sentence."""


class Session(Warehouse):
    """A view per table, at the newest version when it was attached. Nothing can be written.

    With `current` there are also views of the rows that count under the study's current settings.
    """

    def __init__(self, lake: Lake, study: Study, sql_folder: Path, current: bool = False) -> None:
        super().__init__(lake, sql_folder)
        self.study = study
        self.current = current
        self._spill = tempfile.TemporaryDirectory(prefix="preceptor-sql-")
        self._worker = ThreadPoolExecutor(1)
        self.seal(Path(self._spill.name))

    def __enter__(self) -> Self:
        """Attach the tables."""
        self.refresh()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop a running query and remove spilled files."""
        self._session.interrupt()
        self._worker.shutdown()
        self._session.close()
        self._spill.cleanup()

    def refresh(self) -> None:
        """Attach every table at its newest version.

        Raises LakeError. With `current`, raises ValueError if a model's revision cannot be looked up.
        """
        self.versions.clear()
        self.attach_existing(*TABLES.values())
        if self.current:
            current = current_fingerprints(self.study)
            for name, why in (current.lost_teachers | current.lost_bases).items():
                raise ValueError(f"{name}: {why}")
            register_current(self, self.study, current)

    def missing(self) -> list[Table]:
        """The tables that do not exist yet."""
        return [table for table in TABLES.values() if table.name not in self.versions]

    def statements(self, text: str) -> list[Any]:
        """Parse the statements of a text. Raises SqlError if it is not SQL."""
        return self._raising(lambda: self._session.extract_statements(without_end(text)))

    def box(self, statement: Any, width: int | None) -> str:
        """Run a statement and return its rows drawn as a table, or an empty text if it returns none."""

        def run() -> str:
            relation = self._session.sql(statement)
            if statement.type == duckdb.StatementType.EXPLAIN:
                return "\n".join(str(row[-1]) for row in relation.fetchall())
            if relation is None or _only_done(statement, relation.columns):
                return ""
            drawn = io.StringIO()
            with redirect_stdout(drawn):
                relation.show(max_width=width)
            return drawn.getvalue().rstrip("\n")

        return self._interruptible(run)

    def stream(self, statement: Any) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Run a statement. Returns its column names and an iterator over its rows."""
        result = self._interruptible(lambda: self._session.execute(statement))
        names = [column[0] for column in result.description or ()]

        def rows() -> Iterator[tuple[Any, ...]]:
            while found := self._interruptible(lambda: result.fetchmany(1000)):
                yield from found

        return names, rows()

    def _interruptible(self, run: Callable[[], Result]) -> Result:
        """Run in another thread, since DuckDB ignores Ctrl-C. KeyboardInterrupt stops the query."""
        future = self._worker.submit(self._raising, run)
        try:
            while not future.done():  # short waits, since a signal may wake only another thread
                wait([future], timeout=0.1)
        except KeyboardInterrupt:
            while not future.done():
                self._session.interrupt()
                wait([future], timeout=0.1)
            raise
        return future.result()

    def _raising(self, run: Callable[[], Result]) -> Result:
        try:
            return run()
        except (duckdb.Error, RuntimeError, OSError) as error:
            raise SqlError(sentence(str(error))) from error


def _only_done(statement: Any, columns: list[str]) -> bool:
    """Whether a statement's result only confirms that it ran."""
    return statement.type != duckdb.StatementType.SELECT and columns in (["Count"], ["Success"])
