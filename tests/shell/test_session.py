"""A session has every table at fixed versions, and cannot reach files."""

import gc
import os
import signal
import threading
from pathlib import Path

import polars as pl
import pytest

from preceptor.lake import schemas
from preceptor.lake.schemas import RESPONSES, REWARDS, TABLES, Table
from preceptor.lake.store import Lake
from preceptor.shell.prompt import schema_lines, table_lines
from preceptor.shell.session import Session, SqlError
from tests.lake.samples import NAMES, partition, rewards

SQL = Path(__file__).parents[2] / "sql"
COUNT = "select count(*) from rewards"


def ask(session: Session, text: str) -> list[tuple]:
    (statement,) = session.statements(text)
    return list(session.stream(statement)[1])


@pytest.fixture
def filled(lake) -> Lake:
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    return lake


@pytest.fixture
def session(filled):
    with Session(filled, None, SQL) as session:
        yield session


def files(folder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_every_table_of_the_schema_has_a_view():
    declared = [value for value in vars(schemas).values() if isinstance(value, Table)]
    assert sorted(TABLES) == sorted(table.name for table in declared)


def test_an_empty_lake_has_no_rows_and_names_the_assets_that_write_them(lake):
    with Session(lake, None, SQL) as session:
        for table in TABLES.values():
            columns = ", ".join(f'"{name}"' for name in table.schema)
            assert ask(session, f'select {columns} from "{table.name}"') == []
        assert "empty: materialize eval_results" in "\n".join(table_lines(session))
        assert session.missing() == list(TABLES.values())
    assert not Path(lake.home).exists()


def test_a_session_keeps_its_versions_until_it_is_refreshed(filled, session):
    assert ask(session, COUNT) == [(4,)]
    filled.publish(REWARDS, rewards(2), partition("a"), "f2")
    filled.publish(REWARDS, rewards(3), partition("b"), "f1")
    assert ask(session, COUNT) == [(4,)]
    session.refresh()
    assert ask(session, COUNT) == [(5,)]
    assert session.missing() == [table for table in TABLES.values() if table != REWARDS]


def test_a_refresh_undoes_created_and_dropped_views(session):
    ask(session, "drop view rewards")
    ask(session, "create table rewards as select 1 as mine")
    session.refresh()
    assert ask(session, COUNT) == [(4,)]


@pytest.mark.parametrize("folder", ["a b", "it's", "é", "a#b?", "teacher=other"])
@pytest.mark.parametrize("name", NAMES[:3])
def test_odd_paths_and_partition_names_are_read(tmp_path, folder, name):
    lake = Lake(str(tmp_path / folder), "test")
    lake.publish(REWARDS, rewards(4), partition(name), "f1")
    with Session(lake, None, SQL) as session:
        assert ask(
            session, "select distinct teacher, response_id from rewards where response_id = 'r001'"
        ) == [(name, "r001")]


ATTACKS = [
    "copy (select 1 as reward) to '{file}'",
    "copy (select 1 as reward) to '{file}' (use_tmp_file false)",
    "explain analyze copy (select 1 as reward) to '{file}' (use_tmp_file false)",
    "copy rewards to '{home}/out.csv'",
    "export database '{home}/out'",
    "attach '{home}/out.db' as other",
    "attach '{file}' as other",
    "select * from read_parquet('{file}')",
    "select * from read_text('/etc/hostname')",
    "select * from '/etc/hostname'",
    "select * from glob('{home}/*')",
    "copy rewards from '{file}'",
    "copy (select 1 as reward) to '{own}'",
    "copy (select 1 as reward) to '{own}' (use_tmp_file false)",
    "copy (select 1 as reward) to 'lake://rewards' (format parquet, partition_by (reward))",
    "export database 'lake://rewards'",
    "attach 'lake://rewards/out.db' as other",
    "select * from read_text('lake:///etc/hostname')",
    "select * from read_text('lake://../../etc/hostname')",
    "set enable_external_access = true",
    "set allowed_paths = ['{file}']",
    "set temp_directory = '{home}'",
    "set log_query_path = '{home}/log'",
    "set profiling_output = '{home}/profile'",
    "pragma enable_profiling = 'json'",
    "call enable_logging(storage = 'file', storage_path = '{home}/logs')",
    "install httpfs",
    "load httpfs",
    "create secret (type s3, key_id 'a', secret 'b')",
    "select * from lake",
    "delete from rewards",
    "update rewards set reward = 0",
    "insert into rewards select * from rewards",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_statement_reaches_a_file(filled, session, attack):
    before = files(filled.root)
    (file,) = [path for path in before if path.suffix == ".parquet"]
    with pytest.raises(SqlError) as refusal:
        own = f"lake://{file.relative_to(filled.home)}"
        ask(session, attack.format(file=file, home=filled.home, own=own))
    assert "\n" not in str(refusal.value) and "Traceback" not in str(refusal.value)
    assert files(filled.root) == before
    assert ask(session, COUNT) == [(4,)]


def test_spilled_data_goes_to_a_folder_that_is_removed_with_the_session(filled):
    with Session(filled, None, SQL) as session:
        [(folder,)] = ask(session, "select current_setting('temp_directory')")
        assert Path(folder).is_dir() and not Path(folder).is_relative_to(filled.root)
    assert not Path(folder).exists()


def test_queries_during_publishes_never_fail_or_mix_versions(filled):
    stop, versions = threading.Event(), set()

    def publish():
        number = 0
        while not stop.is_set():
            number += 1
            filled.publish(REWARDS, rewards(3 + number % 5, f"f{number}"), partition("a"), f"f{number}")

    writer = threading.Thread(target=publish)
    writer.start()
    try:
        with Session(filled, None, SQL) as session:
            while len(versions) < 5:
                assert writer.is_alive()
                session.refresh()
                query = (
                    "select count(*), count(distinct fingerprint), min(fingerprint), min(error) from rewards"
                )
                found = [ask(session, query) for _ in range(2)]
                ((rows, kinds, fingerprint, error),) = found[0]
                assert found[0] == found[1] and kinds == 1
                assert rows == (4 if error == "r000 under f1" and rows == 4 else 3 + int(fingerprint[1:]) % 5)
                versions.add(fingerprint)
    finally:
        stop.set()
        writer.join()


@pytest.fixture
def no_collector():
    """Hypothesis has a callback of the garbage collector, and a signal that arrives in it is lost."""
    gc.disable()
    yield
    gc.enable()


def test_an_interrupted_query_ends(session, no_collector):
    endless = "select sum(a.range * b.range) from range(9000000) a, range(9000000) b"
    (statement,) = session.statements(endless)
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        session.box(statement, 80)
    assert ask(session, COUNT) == [(4,)]


def test_an_error_about_removed_files_says_what_to_do(filled, session):
    for path in Path(filled.root).rglob("*.parquet"):
        path.unlink()
    with pytest.raises(SqlError, match=r"\.refresh attaches the newest"):
        ask(session, "select * from rewards")


def test_control_characters_of_rows_do_not_reach_the_terminal(lake):
    bad = pl.DataFrame(
        {
            "response_id": ["r"],
            "instruction_id": ["\x1b[2Jgone"],
            "sample": [0],
            "reward": [1.0],
            "error": ["\x07"],
        }
    )
    lake.publish(REWARDS, bad, partition("a"), "f1")
    with Session(lake, None, SQL) as session:
        (statement,) = session.statements("from rewards")
        assert not {"\x1b", "\x07"} & set(session.box(statement, None))


def test_a_schema_names_every_column_with_its_meaning():
    text = "\n".join(schema_lines("responses"))
    assert all(f"  {name} " in text for name in RESPONSES.schema)
    assert "assistant turns, one per user turn" in text
    assert "the tables are raw_instructions, responses" in "\n".join(schema_lines("nope'; drop"))
