"""DuckDB's reader over the lake: filters are pushed down, threads share files, old rows get new columns."""

import threading
import unicodedata
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from preceptor.lake.reader import LakeFiles, Shared
from preceptor.lake.resume import put
from preceptor.lake.schemas import RESPONSES, REWARDS
from preceptor.lake.store import Lake
from preceptor.lake.table_files import TableFiles
from preceptor.lake.warehouse import Warehouse
from tests.lake.samples import NAMES, UNPARTITIONED, partition, rewards

OLDER = replace(RESPONSES, derived={})
KEPT = list(RESPONSES.derived)
BLANKS = "\t\n\f\r \u00a0\u2003\u2028\u3000"
TEACHERS = ("a", "b", NAMES[0])
# PyArrow's scan cannot compare texts; it supports the other filters.
FILTERS = {
    "response_id = 'r001'": pl.col("response_id") == "r001",
    "response_id IN ('r001', 'r004', 'none')": pl.col("response_id").is_in(["r001", "r004", "none"]),
    "response_id > 'r001' AND sample < 3": (pl.col("response_id") > "r001") & (pl.col("sample") < 3),
    "error <> 'r000 under f1'": pl.col("error") != "r000 under f1",
    "error LIKE 'r00%'": pl.col("error").str.starts_with("r00"),
    "error IS NULL": pl.col("error").is_null(),
    "teacher = 'b'": pl.col("teacher") == "b",
    "teacher = 'b' AND response_id = 'r002'": (pl.col("teacher") == "b") & (pl.col("response_id") == "r002"),
    "reward > 0.4": pl.col("reward") > 0.4,
    "sample = 0": pl.col("sample") == 0,
    "response_id = (SELECT max(response_id) FROM rewards)": pl.col("response_id") == "r004",
    "response_id IN (SELECT response_id FROM wanted)": pl.col("response_id") == "r003",
}


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


def session(lake: Lake, folder: Path, sealed: bool) -> Warehouse:
    warehouse = Warehouse(lake, folder)
    if sealed:
        warehouse.seal(folder)
    return warehouse


def asked(warehouse: Warehouse, folder: Path, statement: str) -> pl.DataFrame:
    (folder / "asked.sql").write_text(statement)
    return warehouse.query("asked")


@pytest.mark.parametrize(("folder", "sealed"), [("plain", False), ("plain", True), ("a b'c", False)])
def test_filters_are_pushed_into_the_scan_and_find_what_a_plain_filter_finds(tmp_path, folder, sealed):
    lake = Lake(str(tmp_path / folder), "test")
    for teacher in TEACHERS:
        lake.publish(REWARDS, rewards(5), partition(teacher), "f1")
    rows = lake.read(REWARDS)
    warehouse = session(lake, tmp_path, sealed)
    warehouse.attach(REWARDS)
    warehouse.register("wanted", pl.DataFrame({"response_id": ["r003"]}))
    for condition, plain in FILTERS.items():
        found = asked(warehouse, tmp_path, f"SELECT * FROM rewards WHERE {condition}")
        assert_frame_equal(found, rows.filter(plain), check_row_order=False)
    (plan,) = asked(warehouse, tmp_path, "EXPLAIN SELECT * FROM rewards WHERE response_id = 'r001'")[
        "explain_value"
    ]
    scan = plan[plan.index("READ_PARQUET") :]
    assert "r001" in scan and "FILTER" not in plan[: plan.index("READ_PARQUET")]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.lists(st.text() | st.text(BLANKS), max_size=3), min_size=1, max_size=5))
def test_derived_columns_are_equal_when_written_read_and_computed_by_hand(connection, turns):
    by_hand = [
        {
            "characters": sum(map(len, said)) if said else None,
            # RE2's \pZ: Unicode's separators; the other blanks of ASCII but the vertical tab
            "blank": all(c in "\t\n\f\r" or _separates(c) for turn in said or () for c in turn),
        }
        for said in turns
    ]
    rows = RESPONSES.with_derived(pl.DataFrame({"turns": turns}, schema={"turns": pl.List(pl.String)}))
    assert rows.select(KEPT).to_dicts() == by_hand
    connection.register("rows", rows.drop(KEPT).to_arrow())
    columns = ", ".join(f"{column.sql} AS {name}" for name, column in RESPONSES.derived.items())
    assert connection.sql(f"SELECT {columns} FROM rows").pl().to_dicts() == by_hand


def _separates(character: str) -> bool:
    return unicodedata.category(character).startswith("Z")


def responses(*turns: list[str]) -> pl.DataFrame:
    nothing = dict.fromkeys(RESPONSES.row_schema)
    rows = [
        {**nothing, "instruction_id": "i", "response_id": f"r{n}", "sample": n, "turns": list(said)}
        for n, said in enumerate(turns)
    ]
    return pl.DataFrame(rows, schema=RESPONSES.row_schema)


@pytest.mark.parametrize("sealed", [False, True])
def test_rows_of_an_older_release_get_derived_columns_beside_newer_ones(lake, tmp_path, sealed):
    old, new = responses(["Hé", "you"], [" \n"], []), responses(["数学"])
    lake.publish(OLDER, old, {"teacher": "old"}, "f")
    expected = [("old", "r0", 5, False), ("old", "r1", 2, True), ("old", "r2", None, True)]
    statement = f"SELECT teacher, response_id, {', '.join(KEPT)} FROM responses ORDER BY ALL"
    for then in ([], [("new", "r0", 2, False)]):
        if then:
            lake.publish(RESPONSES, new, {"teacher": "new"}, "f")
        warehouse = session(lake, tmp_path, sealed)
        warehouse.attach(RESPONSES)
        assert asked(warehouse, tmp_path, "FROM responses").columns == list(RESPONSES.stored)
        assert asked(warehouse, tmp_path, statement).rows() == then + expected
        text = asked(warehouse, tmp_path, "SELECT turns FROM responses WHERE characters = 5")
        assert text["turns"].to_list() == [["Hé", "you"]]


def test_rows_of_an_older_release_are_not_made_outdated(lake):
    rows = responses(["one"], ["two"])
    version = lake.publish(OLDER, rows, {"teacher": "t"}, "f").version
    outcome = put(lake, RESPONSES, {"teacher": "t"}, "f", rows)
    assert (outcome.computed, outcome.version, lake.version(RESPONSES)) == (0, version, version)


def test_each_thread_reads_at_its_own_position(tmp_path):
    data = bytes(range(256)) * 64
    (tmp_path / "file").write_bytes(data)
    turns = [threading.Event() for _ in range(3)]
    found = {}
    with Shared(TableFiles(str(tmp_path)).open("file")) as shared:

        def read(name, place, before, after):
            before.wait(10)
            shared.seek(place)
            after.set()
            turns[2].wait(10)
            found[name] = shared.read(100) + shared.read(100)

        threads = [
            threading.Thread(target=read, args=("one", 10, turns[0], turns[1])),
            threading.Thread(target=read, args=("two", 5000, turns[1], turns[2])),
        ]
        for thread in threads:
            thread.start()
        turns[0].set()
        for thread in threads:
            thread.join()
        assert (shared.tell(), shared.read(-1)) == (0, data)
        assert (shared.seek(-6, 2), shared.seek(2, 1), shared.read(100)) == (16378, 16380, data[-4:])
    assert found == {"one": data[10:210], "two": data[5000:5200]}


def test_many_duckdb_threads_share_a_file(tmp_path):
    rows = pl.DataFrame({"n": range(40_000)}).with_columns(
        text=pl.concat_str([pl.col("n").cast(pl.String)] * 9)
    )
    rows.write_parquet(tmp_path / "some.parquet", row_group_size=500)  # each group gets its own thread
    files = LakeFiles()
    (name,) = files.add(UNPARTITIONED, TableFiles(str(tmp_path)), [str(tmp_path / "some.parquet")])
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        connection.execute("SET threads = 8")
        for _ in range(3):
            assert_frame_equal(connection.sql(f"SELECT * FROM '{name}' ORDER BY n").pl(), rows)


@pytest.mark.parametrize("name", NAMES)
def test_only_added_files_are_opened_and_only_for_reading(lake, name):
    lake.publish(REWARDS, rewards(4), partition(name), "f1")
    files = LakeFiles()
    (own,) = files.add(REWARDS, lake.files(REWARDS), lake.existing(REWARDS).file_uris())
    assert files.glob(own) == [own] and files.open(own).read(4) == b"PAR1"
    assert files.info(own)["size"] == next(Path(lake.root).rglob("*.parquet")).stat().st_size
    for path, mode in ((own, "wb"), (own, "rb+"), ("lake:///etc/hostname", "rb"), ("lake://rewards/x", "wb")):
        with pytest.raises(PermissionError, match="operations are disabled"):
            files.open(path, mode)
    with pytest.raises(FileNotFoundError):
        files.info("lake:///etc/hostname")
    with pytest.raises(PermissionError):
        files.glob("lake://*")
