"""What DuckDB's own program is started with, run in a plain DuckDB session."""

import subprocess
import sys

import duckdb
import pytest

from preceptor.lake.schemas import CAR_TABLE, REWARDS, TABLES
from preceptor.lake.store import Lake
from preceptor.shell.program import INSTALL_UI, ProgramError, run_program, serve_ui, session_statements
from tests.lake.samples import partition, rewards


def started(lake) -> duckdb.DuckDBPyConnection:
    session = duckdb.connect()
    for statement in session_statements(lake):
        session.execute(statement)
    return session


def test_every_table_is_a_view_and_no_other_file_is_reached(lake, tmp_path):
    lake.publish(REWARDS, rewards(4), partition("a'; drop table--"), "f1")
    session = started(lake)
    assert session.execute("select teacher, count(*) from rewards group by 1").fetchall() == [
        ("a'; drop table--", 4)
    ]
    for table in TABLES.values():
        view = session.table(table.name)
        assert view.columns == list(table.stored)
        assert table == REWARDS or view.fetchall() == []
    assert (
        dict(zip(*(lambda v: (v.columns, map(str, v.types)))(session.table(CAR_TABLE.name)), strict=True))[
            "car"
        ]
        == "DOUBLE"
    )
    for attack in ("copy (select 1) to '{}/x'", "attach '{}/x'", "select * from glob('{}/*')"):
        with pytest.raises(duckdb.PermissionException):
            session.execute(attack.format(tmp_path))
    with pytest.raises(duckdb.Error, match="Cannot"):
        session.execute("set enable_external_access = true")


@pytest.mark.parametrize("folder", ["a b", "it's", "[1]"])
def test_a_path_that_duckdb_would_take_for_a_pattern_is_refused(tmp_path, folder):
    with pytest.raises(ProgramError, match="leave the option out"):
        session_statements(Lake(str(tmp_path / folder), "test"))


def test_the_program_gets_the_views_as_its_first_statements_and_its_status_is_ours(lake, tmp_path):
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    program = tmp_path / "duckdb"
    program.write_text(
        f"#!{sys.executable}\nimport sys, shutil\nshutil.copy(sys.argv[2], {str(tmp_path / 'seen.sql')!r})\n"
        "assert sys.argv[1] == '-init'\nsys.exit(7)\n"
    )
    program.chmod(0o755)
    assert run_program(str(program), lake) == 7
    with duckdb.connect() as session:
        session.execute((tmp_path / "seen.sql").read_text())
        assert session.execute("select count(*) from rewards").fetchall() == [(4,)]


def test_the_ui_is_never_downloaded_unasked(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where DuckDB keeps extensions
    script = (
        f"from preceptor.shell.program import *\ntry: serve_ui(Lake({lake.root!r}, 'test'), lambda: None)\n"
        "except ProgramError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == INSTALL_UI
    assert not list(tmp_path.rglob("*.duckdb_extension*"))
    with pytest.raises(ProgramError):
        serve_ui(lake, lambda: None)
