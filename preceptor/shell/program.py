"""DuckDB's own program, and its UI, over the same tables; for a lake in a local folder.

Views over files, less safe than `Session`: what DuckDB may read, a COPY that asks for it may write.
"""

import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import duckdb

from preceptor.lake.reader import stored_rows
from preceptor.lake.schemas import TABLES, Table
from preceptor.lake.store import Lake

INSTALL_UI = """\
DuckDB's UI is not installed here, and nothing is downloaded unasked. To install it once, from DuckDB's own
extension repository: python -c "import duckdb; duckdb.sql('INSTALL ui')"
The page itself comes from DuckDB's site each time. Without it, the prompt shows the same tables."""


class ProgramError(RuntimeError):
    """Why DuckDB's program or UI cannot show this lake, and what can."""


def run_program(program: str, lake: Lake) -> int:
    """Hand the terminal over to DuckDB's program, with the tables as views; its exit status."""
    statements = session_statements(lake)
    with tempfile.TemporaryDirectory(prefix="preceptor-sql-") as folder:
        init = Path(folder, "init.sql")
        init.write_text("".join(f"{statement};\n" for statement in statements), encoding="utf-8")
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's
        try:
            return subprocess.run([program, "-init", str(init)], check=False).returncode
        finally:
            signal.signal(signal.SIGINT, ours)


def serve_ui(lake: Lake, until: Callable[[], object]) -> None:
    """Serve DuckDB's UI on loopback with the tables as views, until `until` returns.

    Raises ProgramError where the extension is not installed.
    """
    with duckdb.connect() as session:
        installed = "SELECT installed FROM duckdb_extensions() WHERE extension_name = 'ui'"
        if (True,) not in session.execute(installed).fetchall():
            raise ProgramError(INSTALL_UI)
        session.load_extension("ui")
        for statement in session_statements(lake):
            session.execute(statement)
        session.execute("CALL start_ui_server()")
        until()


def session_statements(lake: Lake) -> list[str]:
    """What a DuckDB session begins with: a view per table at its newest version now, and no other files.

    A table that nobody has made yet is an empty view. Raises ProgramError for a lake whose files cannot be
    named to DuckDB.
    """
    root = str(Path(lake.root).expanduser().absolute())
    if lake.remote or quote(root) != root:
        raise ProgramError(
            f"{lake.root}: DuckDB's own program and UI read local folders whose path has no blanks or quotes"
            " in it; leave the option out, and the prompt reads this lake too"
        )
    tables = [(table, *_stored(lake, table)) for table in TABLES.values()]
    every = ", ".join(_quoted(file) for _, files, _ in tables for file in files)
    return [
        *(_view(table, files, known) for table, files, known in tables),
        f"SET allowed_paths = [{every}]",
        "SET enable_external_access = false",
    ]


def _stored(lake: Lake, table: Table) -> tuple[list[str], frozenset[str]]:
    """A table's files, and the columns that Delta says they have."""
    delta = lake.open(table)
    if delta is None:
        return [], frozenset()
    lake.check_data(table, delta)
    return delta.file_uris(), frozenset(field.name for field in delta.schema().fields)


def _view(table: Table, files: list[str], known: frozenset[str]) -> str:
    rows = stored_rows(table, files, known)
    return f'CREATE OR REPLACE VIEW "{table.name}" AS {rows}'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
