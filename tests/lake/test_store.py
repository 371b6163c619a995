"""The store returns what was written, commits are atomic, and errors name the table or place."""

import shutil
from dataclasses import replace

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from preceptor.lake import schemas, store
from preceptor.lake.schemas import MEASURES, RAW_INSTRUCTIONS, RESPONSES, REWARDS, TEXTS, Table
from preceptor.lake.store import Lake, LakeError
from tests.lake.samples import LOOKALIKES, NAMES, UNPARTITIONED, partition, read_rows, rewards

TABLES = [value for value in vars(schemas).values() if isinstance(value, Table)]
NASTY = "a\u2028b 😀 \x00 'quoted' \"twice\"\r\n\t{} é e\u0301"
AWKWARD = {
    pl.String: [NASTY, ""],
    TEXTS: [[NASTY, None, ""], []],
    pl.Int32: [-(2**31), 2**31 - 1],
    pl.Int64: [-(2**63), 2**63 - 1],
    pl.Float64: [-0.0, 5e-324],
    pl.Boolean: [True, False],
    pl.List(pl.Int64): [[2**63 - 1, None], []],
    pl.List(pl.Float64): [[-0.0, 5e-324, None], []],
    MEASURES: [[{"name": NASTY, "value": -0.0}, {"name": None, "value": None}], []],
}


def awkward_rows(table):
    """Two rows of extreme values, and a third with null in every column outside the key."""
    columns = {}
    for name, dtype in table.row_schema.items():
        third = {pl.String: "third", pl.Int32: 3, pl.Float64: 3.5}[dtype] if name in table.key else None
        columns[name] = [*AWKWARD[dtype], third]
    return pl.DataFrame(columns, schema=table.row_schema)


def interrupt_first_write(monkeypatch, action):
    """Run `action` after the first writer has opened the table, and just before it writes."""
    write, pending = store.write_deltalake, [action]

    def hooked(*arguments, **options):
        if pending:
            pending.pop()()
        return write(*arguments, **options)

    monkeypatch.setattr(store, "write_deltalake", hooked)


@pytest.fixture(scope="module")
def shared_lake(tmp_path_factory):
    return Lake(str(tmp_path_factory.mktemp("shared")), "test")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_of_every_table_are_read_back_unchanged(lake, table):
    rows, place = awkward_rows(table), dict.fromkeys(table.partition_by, "p")
    lake.publish(table, rows, place, "f1")
    expected = rows.with_columns(pl.lit("p").alias(name) for name in place)
    expected = expected.with_columns(fingerprint=pl.lit("f1")).select(list(table.schema))
    assert_frame_equal(lake.read(table), expected)


@settings(max_examples=30)
@given(st.lists(st.none() | st.lists(st.none() | st.text(), max_size=3), min_size=1, max_size=4))
def test_any_texts_are_read_back_unchanged(shared_lake, turns):
    nothing = dict.fromkeys(RESPONSES.row_schema)
    rows = [{**nothing, "instruction_id": "i", "sample": n, "turns": turn} for n, turn in enumerate(turns)]
    rows = pl.DataFrame(rows, schema=RESPONSES.row_schema)
    shared_lake.publish(RESPONSES, rows, {"teacher": "t"}, "f1")
    assert_frame_equal(read_rows(shared_lake, RESPONSES, {"teacher": "t"}), rows)


@settings(max_examples=30)
@given(name=st.text(min_size=1, max_size=15))
def test_every_name_is_a_separate_partition(shared_lake, name):
    shared_lake.publish(REWARDS, rewards(3), partition(name), "f1")
    shared_lake.publish(REWARDS, rewards(2), partition(name), "f2")
    assert_frame_equal(read_rows(shared_lake, REWARDS, partition(name)), rewards(2))


@pytest.mark.parametrize("name", NAMES + LOOKALIKES)
def test_special_characters_in_names_are_safe_in_writes_reads_and_deletes(lake, name):
    lake.publish(REWARDS, rewards(1), partition("other"), "f1")
    lake.publish(REWARDS, rewards(3), partition(name), "f1")
    lake.publish(REWARDS, rewards(2), partition(name), "f2")
    found = lake.read(REWARDS, partition(name))
    assert_frame_equal(found.select(list(REWARDS.row_schema)), rewards(2))
    assert set(found["teacher"]) == {name}
    lake.delete(REWARDS, partition(name))
    assert lake.read(REWARDS)["teacher"].to_list() == ["other"]


def test_an_empty_name_is_refused(lake):
    # Delta stores an empty partition value as null, so no read would find its rows.
    with pytest.raises(LakeError, match="teacher"):
        lake.publish(REWARDS, rewards(), partition(""), "f1")


def test_publishing_no_rows_is_refused(lake):
    lake.publish(REWARDS, rewards(), partition(), "f1")
    with pytest.raises(LakeError, match=r"rewards.*no rows"):
        lake.publish(REWARDS, rewards().clear(), partition(), "f2")
    assert_frame_equal(read_rows(lake), rewards())


def test_repeated_keys_are_refused(lake):
    repeated = pl.concat([rewards(3), rewards(2, "f2")])
    with pytest.raises(LakeError, match=r"2 rows of rewards .*\('response_id',\)"):
        lake.publish(REWARDS, repeated, partition(), "f1")
    assert lake.version(REWARDS) is None


def test_replacing_a_partition_leaves_the_others_unchanged(lake):
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    lake.publish(REWARDS, rewards(5), partition("b"), "f1")
    lake.publish(REWARDS, rewards(2, "f2"), partition("a"), "f2")
    assert_frame_equal(read_rows(lake, REWARDS, partition("a")), rewards(2, "f2"))
    assert_frame_equal(read_rows(lake, REWARDS, partition("b")), rewards(5))


def test_a_replaced_version_stays_readable(lake):
    old = lake.publish(REWARDS, rewards(4), partition(), "f1")
    new = lake.publish(REWARDS, rewards(3, "f2"), partition(), "f2")
    assert (old.rows, new.rows) == (4, 3)
    assert_frame_equal(read_rows(lake, version=old.version), rewards(4))
    assert_frame_equal(read_rows(lake, version=new.version), rewards(3, "f2"))


def test_an_unknown_version_is_an_error(lake):
    lake.publish(REWARDS, rewards(), partition(), "f1")
    with pytest.raises(LakeError, match="cannot read table rewards"):
        lake.read(REWARDS, version=99)


def test_a_missing_table_reads_as_no_rows_with_its_schema(lake):
    assert_frame_equal(lake.read(REWARDS), REWARDS.schema.to_frame())
    assert lake.version(REWARDS) is None


def test_studies_in_one_store_do_not_see_each_other(tmp_path):
    one, other = Lake(str(tmp_path), "one"), Lake(str(tmp_path), "other")
    one.publish(REWARDS, rewards(3), partition(), "f1")
    assert other.read(REWARDS).is_empty()
    other.publish(REWARDS, rewards(2), partition(), "f1")
    assert_frame_equal(read_rows(one), rewards(3))


def test_an_unwritable_store_is_named_with_the_fix():
    with pytest.raises(LakeError, match=r"(?s)/proc/nowhere/test/rewards.*PRECEPTOR_STORE"):
        Lake("/proc/nowhere", "test").publish(REWARDS, rewards(), partition(), "f1")


@pytest.mark.parametrize("folder", ["a b", "é", "a#b?", "run=3", "it's"])
def test_a_store_works_in_a_folder_with_special_characters(tmp_path, folder):
    lake = Lake(str(tmp_path / folder), "test")
    lake.publish(REWARDS, rewards(), partition(), "f1")
    assert_frame_equal(read_rows(lake, REWARDS, partition()), rewards())


@pytest.mark.parametrize("folder", ["[draft]", "a|b", "a%20b"])
def test_a_folder_that_delta_cannot_use_is_refused(tmp_path, folder):
    with pytest.raises(LakeError, match="PRECEPTOR_STORE"):
        Lake(str(tmp_path / folder), "test").publish(REWARDS, rewards(), partition(), "f1")


def test_arrow_and_not_python_reads_the_files(lake):
    lake.publish(REWARDS, rewards(4), partition(), "f1")
    dataset = lake.dataset(REWARDS, lake.existing(REWARDS))
    assert dataset.filesystem.base_fs.type_name == "local"
    assert all(fragment.filesystem == dataset.filesystem for fragment in dataset.get_fragments())


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "overwritten"])
def test_a_damaged_data_file_is_an_error_that_names_the_table(lake, tmp_path, damage):
    lake.publish(REWARDS, rewards(), partition(), "f1")
    (file,) = tmp_path.rglob("*.parquet")
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        half = content[: len(content) // 2]
        file.write_bytes({"empty": b"", "cut": half, "overwritten": bytes(len(content))}[damage])
    with pytest.raises(LakeError, match="rewards"):
        lake.read(REWARDS)


def test_a_damaged_log_of_an_older_release_is_an_error_that_names_the_table(lake, tmp_path):
    lake.publish(REWARDS, rewards(), partition(), "f1")
    shutil.rmtree(next(tmp_path.rglob("_hashes")))
    next(tmp_path.rglob("*1.json")).write_text("{no json")
    with pytest.raises(LakeError, match="cannot read table rewards"):
        lake.read(REWARDS)


def test_an_append_adds_nothing_if_another_writer_committed_its_transaction_first(lake, monkeypatch):
    won = []
    interrupt_first_write(
        monkeypatch, lambda: won.append(lake.append(REWARDS, rewards(5), partition(), "f1", "same"))
    )
    assert lake.append(REWARDS, rewards(5), partition(), "f1", "same") is False
    assert won == [True]
    assert_frame_equal(read_rows(lake), rewards(5))
    assert lake.append(REWARDS, rewards(5, first=5), partition(), "f1", "same") is True


def test_appends_of_different_transactions_do_not_hinder_each_other(lake, monkeypatch):
    interrupt_first_write(
        monkeypatch, lambda: lake.append(REWARDS, rewards(5), partition("b"), "f1", "other")
    )
    assert lake.append(REWARDS, rewards(5), partition("a"), "f1", "one") is True
    assert lake.read(REWARDS).height == 10


def test_an_append_succeeds_while_other_rows_are_deleted(lake, monkeypatch):
    lake.publish(REWARDS, rewards(5), partition("b"), "f1")
    interrupt_first_write(monkeypatch, lambda: lake.delete(REWARDS, partition("b")))
    assert lake.append(REWARDS, rewards(5), partition("a"), "f1", "one") is True
    assert lake.read(REWARDS).height == 5


def test_a_table_that_another_writer_creates_first_is_shared_with_it(lake, monkeypatch):
    create, pending = DeltaTable.create, [True]

    def raced(*arguments, **options):
        if pending:
            pending.pop()
            lake.publish(REWARDS, rewards(5), partition("b"), "f1")
        return create(*arguments, **options)

    monkeypatch.setattr(DeltaTable, "create", raced)
    lake.publish(REWARDS, rewards(4), partition("a"), "f1")
    assert lake.read(REWARDS).height == 9


@pytest.mark.parametrize("table", [REWARDS, UNPARTITIONED], ids=["partitioned", "unpartitioned"])
@pytest.mark.parametrize("before", [0, 3], ids=["first publish", "later publish"])
def test_of_two_conflicting_publishes_one_wins_completely(lake, monkeypatch, table, before):
    place = partition() if table.partition_by else {}
    if before:
        lake.publish(table, rewards(before), place, "f0")
    interrupt_first_write(monkeypatch, lambda: lake.publish(table, rewards(5, "f1"), place, "f1"))
    last = lake.publish(table, rewards(4, "f2"), place, "f2")
    assert_frame_equal(read_rows(lake, table), rewards(4, "f2"))
    assert_frame_equal(read_rows(lake, table, version=last.version - 1), rewards(5, "f1"))


def test_a_commit_that_always_conflicts_is_an_error_that_names_the_table(lake, monkeypatch):
    def lose(*arguments, **options):
        raise CommitFailedError("another writer was first")

    monkeypatch.setattr(store, "write_deltalake", lose)
    monkeypatch.setattr(store, "_wait", lambda attempt: None)
    with pytest.raises(LakeError, match=r"rewards.*12 commits in a row"):
        lake.publish(REWARDS, rewards(), partition(), "f1")


@pytest.mark.parametrize("table", [REWARDS, UNPARTITIONED], ids=["partitioned", "unpartitioned"])
def test_delete_empties_a_partition_and_old_versions_keep_it(lake, table):
    place = partition() if table.partition_by else {}
    version = lake.publish(table, rewards(3), place, "f1").version
    lake.delete(table, place)
    assert lake.read(table).is_empty()
    assert_frame_equal(read_rows(lake, table, version=version), rewards(3))


def test_a_table_of_an_older_release_is_read_and_gets_its_new_columns(lake):
    columns = dict(RAW_INSTRUCTIONS.columns)
    older = replace(RAW_INSTRUCTIONS, columns={k: v for k, v in columns.items() if k != "answer"})
    row = {"instruction_id": "i", "source": "s", "source_ids": ["1"], "place": "p", "system": None}
    row |= {"turns": ["Hi"], "prompt_hash": "h", "answer": "yes", "check": None}
    old = pl.DataFrame([row], schema=RAW_INSTRUCTIONS.row_schema)
    lake.publish(older, old.drop("answer"), {}, "f")
    assert lake.read(RAW_INSTRUCTIONS)["answer"].to_list() == [None]
    lake.publish(RAW_INSTRUCTIONS, old, {}, "g")
    assert lake.read(RAW_INSTRUCTIONS)["answer"].to_list() == ["yes"]
    assert lake.read(RAW_INSTRUCTIONS, version=1)["answer"].to_list() == [None]
