"""Large data files are hashed once, however many processes read them; a changed one is found by each."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from preceptor.lake import found_sound
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from preceptor.lake.table_files import TableFiles
from tests.lake.samples import partition

ROWS = 200_000  # which no compression brings below a megabyte


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A store with one large partition, written long ago."""
    lake = Lake(str(tmp_path / "store"), "study")
    rows = pl.DataFrame({"reward": np.random.default_rng(0).normal(size=ROWS)}).with_columns(
        response_id=pl.int_range(ROWS).cast(pl.String), instruction_id=pl.lit("i"), sample=0, error=None
    )
    lake.publish(REWARDS, REWARDS.conform(rows), partition(), "f1")
    monkeypatch.setattr(found_sound, "SETTLED", -(10**12))
    monkeypatch.setattr(found_sound, "cache_folder", lambda: tmp_path / "cache")
    return lake


@pytest.fixture
def hashed(monkeypatch):
    """The data files that are hashed from now on, read as another process would each time."""
    names, sha256 = [], TableFiles.sha256

    def counted(files, name):
        names.append(name)
        return sha256(files, name)

    monkeypatch.setattr(TableFiles, "sha256", counted)

    def read(lake):
        names.clear()
        monkeypatch.setattr("preceptor.lake.trust._known", {})
        assert lake.read(REWARDS).height == ROWS
        return [name for name in names if name.endswith(".parquet")]

    return read


def data_file(lake):
    (found,) = Path(lake.uri(REWARDS), "reward_model=rm", "teacher=teacher").iterdir()
    assert found.stat().st_size > found_sound.LARGE
    return found


def damage(path):
    """Change a byte in place and set the time back."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_large_file_is_hashed_by_the_first_process_alone(lake, hashed):
    assert len(hashed(lake)) == 1
    assert hashed(lake) == hashed(lake) == []


def test_a_file_that_changed_since_is_found_though_its_time_was_set_back(lake, hashed):
    hashed(lake)
    damage(data_file(lake))
    for _ in range(2):
        with pytest.raises(LakeError, match="is not the file that was written"):
            hashed(lake)


def test_a_file_that_was_damaged_before_anybody_looked_is_never_taken_for_sound(lake, hashed):
    damage(data_file(lake))
    for _ in range(2):
        with pytest.raises(LakeError, match="is not the file that was written"):
            hashed(lake)


def test_a_file_that_was_written_just_now_is_hashed_again(lake, hashed, monkeypatch):
    monkeypatch.setattr(found_sound, "SETTLED", 10**12)
    assert len(hashed(lake)) == len(hashed(lake)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": ["b", 1]}', '{"a": ["b", ["c"]]}'])
def test_what_is_kept_may_be_damaged_or_of_no_use(lake, hashed, text):
    hashed(lake)
    (kept,) = (found_sound.cache_folder() / "tables").iterdir()
    kept.write_text(text)
    assert len(hashed(lake)) == 1
    assert hashed(lake) == []  # and it is kept anew


def test_where_nothing_can_be_kept_files_are_hashed(lake, hashed, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(found_sound, "cache_folder", lambda: tmp_path / "file")
    assert len(hashed(lake)) == len(hashed(lake)) == 1


def test_what_is_kept_of_files_that_are_gone_goes(lake, hashed):
    hashed(lake)
    found_sound.keep_sound(lake.uri(REWARDS), {"gone.parquet": ("0" * 64, (1, 2, 3, 4))})
    assert "gone.parquet" in found_sound.found_sound(lake.uri(REWARDS))
    found_sound.keep_sound(lake.uri(REWARDS), {})
    assert len(found_sound.found_sound(lake.uri(REWARDS))) == 1
