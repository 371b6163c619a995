"""A table read partition by partition has the same rows as when it is read at once."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preceptor.lake.partitions import Partitions
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from tests.lake.samples import LOOKALIKES, NAMES, UNPARTITIONED, partition, read_rows, rewards

COLUMNS = list(REWARDS.row_schema)


@pytest.mark.parametrize("folder", ["a b", "é#?", "teacher=it's"])
def test_each_partition_has_its_own_rows_under_any_name_and_folder(tmp_path, folder):
    lake = Lake(str(tmp_path / folder), "test")
    for count, name in enumerate([*NAMES, *LOOKALIKES], start=1):
        version = lake.publish(REWARDS, rewards(count), partition(name), "f1").version
    table = Partitions(lake, REWARDS, version)
    for name in (*NAMES, *LOOKALIKES):
        assert_frame_equal(table.rows(partition(name), COLUMNS), read_rows(lake, place=partition(name)))
    assert_frame_equal(table.rows(partition("nobody"), COLUMNS), REWARDS.conform(REWARDS.schema.to_frame()))


def test_an_old_version_and_a_table_without_partitions_are_read(lake):
    version = lake.publish(UNPARTITIONED, rewards(4), {}, "f1").version
    lake.publish(UNPARTITIONED, rewards(2), {}, "f2")
    rows = Partitions(lake, UNPARTITIONED, version).rows({}, [*COLUMNS, "fingerprint"])
    assert_frame_equal(rows, rewards(4).with_columns(fingerprint=pl.lit("f1")))


def test_a_column_that_an_older_release_did_not_write_is_null(lake):
    older = replace(REWARDS, columns={k: v for k, v in REWARDS.columns.items() if k != "error"})
    lake.publish(older, rewards(4).drop("error"), partition("a"), "f1")
    version = lake.publish(REWARDS, rewards(2), partition("b"), "f1").version
    table = Partitions(lake, REWARDS, version)
    assert table.rows(partition("a"), COLUMNS)["error"].to_list() == [None] * 4
    assert_frame_equal(table.rows(partition("b"), COLUMNS), rewards(2))


def test_a_changed_file_is_named(lake):
    version = lake.publish(REWARDS, rewards(4), partition("a"), "f1").version
    (file,) = Path(lake.uri(REWARDS)).glob("*/*/*.parquet")
    file.write_bytes(file.read_bytes()[:-9] + b"?" * 9)
    with pytest.raises(LakeError, match=file.name):
        Partitions(lake, REWARDS, version)
    with pytest.raises(LakeError, match=r"a data file of .* cannot be read"):
        Partitions(replace(lake, checked=False), REWARDS, version).rows(partition("a"), COLUMNS)
