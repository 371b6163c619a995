"""The prompt. A statement may span several lines and ends with `;`. Commands begin with a dot."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from preceptor.lake.schemas import TABLES
from preceptor.lake.store import LakeError
from preceptor.shell.output import write_result
from preceptor.shell.session import MADE_BY, Session, SqlError
from preceptor.shell.statements import is_blank, is_complete

FIRST, NEXT = "sql> ", "...> "
HELP = """\
Statements are DuckDB's SQL and end with ;
.tables          list the tables, their versions and what a row is
.schema NAME     show a table's columns and their meanings
.refresh         attach the newest version of every table
.quit            leave (also Ctrl-D); Ctrl-C discards a statement or stops a running one"""

CURRENT = {
    "current_responses": "responses of the study's teachers under the current settings",
    "current_rewards": "rewards of these responses from CAR's reward model",
    "current_losses": "losses of these responses under the study's bases",
}


class Prompt:
    """Reads lines with `ask`, which gets the prompt's text, and writes to `out`."""

    def __init__(self, session: Session, ask: Callable[[str], str], out: TextIO) -> None:
        self.session = session
        self.ask = ask
        self.out = out

    def run(self) -> None:
        """Read and run statements and commands until .quit or the end of the input."""
        typed = ""
        while True:
            try:
                typed += self.ask(NEXT if typed else FIRST) + "\n"
                if typed.startswith("."):
                    if self._command(*typed.split()):
                        return
                elif not is_complete(typed):
                    typed = "" if is_blank(typed) else typed
                    continue
                else:
                    self._statements(typed)
            except EOFError:
                if not is_blank(typed):
                    self._say("the last statement does not end with ; and was not run")
                return
            except KeyboardInterrupt:
                self._say("")
            typed = ""

    def _statements(self, text: str) -> None:
        try:
            for statement in self.session.statements(text):
                width = shutil.get_terminal_size().columns
                write_result(self.session, statement, "table", self.out, width)
        except SqlError as error:
            self._say(str(error))

    def _command(self, name: str, *words: str) -> bool:
        """Run a command. Returns whether to leave the prompt."""
        if name in (".quit", ".exit"):
            return True
        for line in self._answer(name, words):
            self._say(line)
        return False

    def _answer(self, name: str, words: tuple[str, ...]) -> Iterator[str]:
        match name, words:
            case ".tables", ():
                yield from table_lines(self.session)
            case ".schema", (table,):
                yield from schema_lines(table)
            case ".refresh", ():
                yield from self._refreshed()
            case ".help", ():
                yield HELP
            case _:
                yield f"unknown command {' '.join((name, *words))}: .help lists the commands"

    def _refreshed(self) -> Iterator[str]:
        before = dict(self.session.versions)
        try:
            self.session.refresh()
        except (LakeError, ValueError) as error:
            yield str(error)
            return
        changed = {name: v for name, v in self.session.versions.items() if v != before.get(name)}
        yield (
            ", ".join(f"{n} is now at version {v}" for n, v in changed.items())
            or "all tables are at their newest version"
        )

    def _say(self, line: str) -> None:
        self.out.write(f"{line}\n")


def read_line() -> Callable[[str], str]:
    """`input` with a history that outlives the session. Without a terminal there are no prompts."""
    if not sys.stdin.isatty():
        return lambda _: input()
    import atexit
    import readline

    history = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preceptor" / "sql_history"
    with suppress(OSError):
        history.parent.mkdir(parents=True, exist_ok=True)
        readline.read_history_file(history)
    readline.set_history_length(1000)
    atexit.register(_write_history, history)
    return input


def _write_history(history: Path) -> None:
    import readline

    with suppress(OSError):
        readline.write_history_file(history)


def table_lines(session: Session) -> Iterator[str]:
    """One line per table: its version, or the asset that writes it, and what a row is."""
    missing = session.missing()
    width = max(map(len, TABLES))
    for table in TABLES.values():
        version = f"version {session.versions[table.name]}" if table not in missing else "–"
        asset = MADE_BY.get(table.name, table.name)
        hint = f" (empty: materialize {asset})" if table in missing else ""
        yield f"  {table.name:{width}}  {version:11}  {table.row}{hint}"
    if session.current:
        for name, meaning in CURRENT.items():
            yield f"  {name:{width}}  {'':11}  {meaning}"


def schema_lines(name: str) -> Iterator[str]:
    """A table's row, key and columns with their meanings. For an unknown name, the known tables."""
    table = TABLES.get(name)
    if table is None:
        yield f"unknown table {name!r}; the tables are {', '.join(TABLES)}"
        return
    yield f"{table.name}: a row is {table.row}. Key: {', '.join((*table.partition_by, *table.key))}"
    meanings = table.meanings
    width = max(len(column) for column in meanings)
    for column, dtype in table.stored.items():
        yield f"  {column:{width}}  {dtype!s:13}  {meanings[column]}"
