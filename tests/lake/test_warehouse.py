"""The warehouse reads fixed versions, binds values as parameters, and keeps names as text."""

from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preceptor.lake.schemas import RESPONSES, REWARDS
from preceptor.lake.store import Lake, NotMaterializedError
from preceptor.lake.warehouse import Warehouse
from tests.lake.samples import LOOKALIKES, NAMES, partition, rewards

STATEMENTS = {
    "counts": "SELECT teacher, count(*) AS n FROM rewards GROUP BY teacher ORDER BY teacher",
    "of_teacher": "SELECT teacher, count(*) AS n FROM rewards WHERE teacher = $teacher GROUP BY teacher",
    "echo": "SELECT $value AS value",
    "joined": "SELECT rewards.teacher, kind FROM rewards JOIN kinds USING (teacher) ORDER BY ALL",
    "kept": "SELECT * FROM kept WHERE n >= $least",
}
QUOTED = "a'; DROP TABLE rewards; --"


@pytest.fixture
def warehouse(lake, tmp_path):
    for name, statement in STATEMENTS.items():
        (tmp_path / f"{name}.sql").write_text(statement)
    return Warehouse(lake, tmp_path)


def counts(**teachers):
    return pl.DataFrame({"teacher": list(teachers), "n": list(teachers.values())})


def test_a_table_that_was_not_materialized_is_named(warehouse):
    with pytest.raises(NotMaterializedError, match="responses has no rows yet: materialize it first"):
        warehouse.attach(RESPONSES)
    assert warehouse.versions == {}


def test_a_session_keeps_reading_the_versions_that_it_recorded(lake, warehouse):
    attached = lake.publish(REWARDS, rewards(4), partition("a"), "f1").version
    warehouse.attach(REWARDS)
    lake.publish(REWARDS, rewards(2), partition("a"), "f2")
    newest = lake.publish(REWARDS, rewards(3), partition("b"), "f2").version
    assert warehouse.versions == {"rewards": attached}
    assert_frame_equal(warehouse.query("counts"), counts(a=4))

    warehouse.attach(REWARDS)
    assert warehouse.versions == {"rewards": newest}
    assert_frame_equal(warehouse.query("counts"), counts(a=2, b=3))


def test_the_first_rows_of_a_table_are_read_after_it_is_attached_again(lake, warehouse):
    lake.create(REWARDS)
    warehouse.attach(REWARDS)
    assert warehouse.query("counts").is_empty()
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    warehouse.attach(REWARDS)
    assert_frame_equal(warehouse.query("counts"), counts(a=4))


@pytest.mark.parametrize("folder", ["a b", "é", "a#b?", "it's", "run=3", "teacher=other"])
def test_the_name_of_the_stores_folder_does_not_change_rows(tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    lake = Lake("store", "test")
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    (tmp_path / "all.sql").write_text("SELECT * FROM rewards WHERE error = 'r001 under f1'")
    warehouse = Warehouse(lake, tmp_path)
    warehouse.attach(REWARDS)
    found = warehouse.query("all")
    assert sorted(found.columns) == sorted(REWARDS.schema)
    assert_frame_equal(found.select(list(REWARDS.schema)), lake.read(REWARDS).filter(response_id="r001"))


@pytest.mark.parametrize("value", [QUOTED, "$value", "\u2028😀", "", 7, 0.1, True, None])
def test_a_parameter_reaches_sql_as_its_value(warehouse, value):
    assert warehouse.query("echo", value=value)["value"].to_list() == [value]


def test_a_quote_in_a_parameter_is_plain_text(lake, warehouse):
    lake.publish(REWARDS, rewards(4), partition(QUOTED), "f1")
    lake.publish(REWARDS, rewards(3), partition("a"), "f1")
    warehouse.attach(REWARDS)
    assert_frame_equal(warehouse.query("of_teacher", teacher=QUOTED), counts(**{QUOTED: 4}))
    assert warehouse.query("of_teacher", teacher="' OR '' = '").is_empty()
    assert warehouse.query("counts").height == 2


@pytest.mark.parametrize("name", NAMES + LOOKALIKES)
def test_partition_names_stay_text(lake, warehouse, name):
    lake.publish(REWARDS, rewards(4), partition(name), "f1")
    warehouse.attach(REWARDS)
    warehouse.register("kinds", pl.DataFrame({"teacher": [name, "7"], "kind": ["same", "other"]}))
    assert_frame_equal(warehouse.query("counts"), counts(**{name: 4}))
    assert_frame_equal(warehouse.query("of_teacher", teacher=name), counts(**{name: 4}))
    assert set(warehouse.query("joined").iter_rows()) == {(name, "same")}


def test_kept_rows_stay_available_after_a_new_version(lake, warehouse):
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    warehouse.attach(REWARDS)
    warehouse.keep("kept", "of_teacher", teacher="a")
    lake.publish(REWARDS, rewards(2), partition("a"), "f2")
    warehouse.attach(REWARDS)
    assert_frame_equal(warehouse.rows("kept"), counts(a=4))
    assert_frame_equal(warehouse.query("kept", least=4), counts(a=4))
    assert warehouse.query("kept", least=5).is_empty()


def test_rows_returns_a_registered_frame(warehouse):
    frame = pl.DataFrame({"teacher": ["007", None], "n": [1, 2]})
    warehouse.register("frame", frame)
    assert_frame_equal(warehouse.rows("frame"), frame)


def test_a_table_of_an_older_release_has_its_new_columns_as_nulls(lake, warehouse):
    older = replace(REWARDS, columns={k: v for k, v in REWARDS.columns.items() if k != "sample"})
    lake.publish(older, rewards(4).drop("sample"), partition("a"), "f1")
    warehouse.attach(REWARDS)
    assert warehouse.rows("rewards")["sample"].to_list() == [None] * 4
    assert_frame_equal(warehouse.query("counts"), counts(a=4))


def test_rows_are_staged_beside_those_of_an_older_release(lake):
    older = replace(REWARDS, columns={k: v for k, v in REWARDS.columns.items() if k != "sample"})
    assert lake.append(older, rewards(4).drop("sample"), partition("a"), "f1", "t")
    assert lake.append(REWARDS, rewards(2), partition("a"), "f2", "u")
    assert sorted(lake.read(REWARDS)["sample"].is_null().to_list()) == [False] * 2 + [True] * 4
