"""Large data files are hashed once for all processes, and each process finds a changed file."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from preceptor import file_hash
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from tests.lake.samples import partition

ROWS = 200_000  # more than a megabyte even when compressed


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A store with one large partition, written long ago."""
    lake = Lake(str(tmp_path / "store"), "study")
    rows = pl.DataFrame({"reward": np.random.default_rng(0).normal(size=ROWS)}).with_columns(
        response_id=pl.int_range(ROWS).cast(pl.String), instruction_id=pl.lit("i"), sample=0, error=None
    )
    lake.publish(REWARDS, REWARDS.conform(rows), partition(), "f1")
    monkeypatch.setattr(file_hash, "SETTLED", -(10**12))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lake


@pytest.fixture
def hashed(monkeypatch):
    """The data files hashed while a new process reads the table."""
    names, digest = [], file_hash.hashlib.file_digest

    def counted(file, kind):
        names.append(file.name)
        return digest(file, kind)

    def read(lake):
        names.clear()
        monkeypatch.setattr("preceptor.lake.trust._known", {})
        monkeypatch.setattr(file_hash, "_known", {})
        with monkeypatch.context() as watched:
            watched.setattr(file_hash.hashlib, "file_digest", counted)
            assert lake.read(REWARDS).height == ROWS
        return [name for name in names if str(name).endswith(".parquet")]

    return read


def damage(lake):
    """Change a byte of the data file in place and reset its modification time."""
    (path,) = Path(lake.uri(REWARDS), "reward_model=rm", "teacher=teacher").iterdir()
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_large_file_is_hashed_only_by_the_first_process(lake, hashed):
    assert len(hashed(lake)) == 1
    assert hashed(lake) == hashed(lake) == []


@pytest.mark.parametrize("looked_before", [True, False])
def test_a_changed_file_with_its_old_time_is_found_by_each_process(lake, hashed, looked_before):
    if looked_before:
        hashed(lake)
    damage(lake)
    for _ in range(2):
        with pytest.raises(LakeError, match="is not the file that was written"):
            hashed(lake)
