"""`make sql`: one command, several formats, and the prompt in a real terminal."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preceptor.lake.ledger import entry_name
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from tests.lake.samples import partition, rewards
from tests.studies import write_study

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sql")
    write_study(folder)
    Lake(str(folder / "store"), "small").publish(REWARDS, rewards(4), partition("a"), "f1")
    return folder


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "PRECEPTOR_STORE": str(folder / "store"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TERM": "xterm",
        "COLUMNS": "100",
    }


def sql(folder: Path, *options: str, **settings) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "jobs.sql", str(folder / "small.yaml"), *options]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment(folder), text=True, capture_output=True, **settings
    )


def test_a_command_prints_rows_in_the_requested_format(folder):
    query = "select teacher, count(*) as n from rewards group by teacher"
    assert json.loads(sql(folder, "--command", query, "--format", "json").stdout) == [
        {"teacher": "a", "n": 4}
    ]
    assert sql(folder, "--command", query, "--format", "csv").stdout == "teacher,n\na,4\n"
    assert "│ a       │     4 │" in sql(folder, "--command", query).stdout


def test_missing_hashes_are_a_warning_on_stderr(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    hashes = tmp_path / "store/small/rewards" / entry_name(0)
    hashes.unlink()
    asked = sql(tmp_path, "--command", "select count(*) as n from rewards", "--format", "csv")
    assert asked.stdout == "n\n4\n"
    assert asked.stderr.startswith(str(hashes)) and asked.stderr.count("\n") == 1


def test_a_failing_command_prints_one_line_and_exits_with_1(folder):
    failed = sql(folder, "--command", "select nope from rewards")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("Binder Error") and failed.stderr.count("\n") == 1


def test_a_study_or_store_that_cannot_be_used_is_reported_without_a_traceback(folder):
    command = [sys.executable, "-m", "jobs.sql", "nowhere.yaml"]
    ran = subprocess.run(command, cwd=CHECKOUT, env=environment(folder), text=True, capture_output=True)
    assert ran.returncode == 1 and "nowhere.yaml" in ran.stderr and "Traceback" not in ran.stderr


def test_piped_statements_are_run_without_prompts(folder):
    ran = sql(folder, input="select 1 as one;\n.tables\nselect 2 as two;\n")
    assert ran.returncode == 0 and "sql>" not in ran.stdout
    assert "two" in ran.stdout and "empty: materialize car_table" in ran.stdout


class Terminal:
    """The prompt in a pseudo-terminal."""

    def __init__(self, folder: Path):
        self.ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "jobs.sql", str(folder / "small.yaml")]
        self.process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment(folder),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(theirs)

    def type(self, text: str):
        os.write(self.ours, text.encode())

    def until(self, wanted: str, seconds: float = 300) -> str:
        seen, end = "", time.monotonic() + seconds
        while wanted not in seen:
            assert time.monotonic() < end, f"{wanted!r} never came: {seen}"
            if select.select([self.ours], [], [], 0.1)[0]:
                seen += os.read(self.ours, 65536).decode(errors="replace")
        return seen


def test_the_prompt_in_a_terminal(folder):
    terminal = Terminal(folder)
    assert "empty: materialize responses" in terminal.until("sql> ")
    terminal.type("select count(*)\n")
    terminal.until("...> ")
    terminal.type("as n from rewards;\n")
    assert "│     4 │" in terminal.until("sql> ")
    terminal.type("select dropped")
    time.sleep(0.3)
    terminal.type("\x03")  # Ctrl-C at the prompt
    terminal.until("sql> ")
    terminal.type("select sum(a.range * b.range) from range(9000000) a, range(9000000) b;\n")
    time.sleep(1.5)
    terminal.type("\x03")  # Ctrl-C while a query runs
    terminal.until("sql> ")
    terminal.type("select 6 * 7 as product;\n")
    assert "│      42 │" in terminal.until("sql> ")
    terminal.type("\x1b[A\n")  # arrow up: history
    assert "│      42 │" in terminal.until("sql> ")
    terminal.type("\x04")  # Ctrl-D
    assert terminal.process.wait(300) == 0
    assert "from rewards" in (folder / "cache" / "preceptor" / "sql_history").read_text()
