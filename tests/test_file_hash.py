"""Hashes of files, remembered: never when the file may be another one."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from preceptor import file_hash as hashes
from preceptor.file_hash import file_hash


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "LARGE", 4)
    monkeypatch.setattr(hashes, "_known", {})
    return tmp_path / "cache" / "preceptor" / "hashes"


@pytest.fixture
def read(monkeypatch) -> list:
    """Which files were hashed."""
    found, digest = [], hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: (found.append(file.name), digest(file, kind))[1]
    )
    return found


def settled(monkeypatch) -> None:
    """Let an hour go by."""
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(hashes, "time_ns", lambda: now)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_settled_file_is_read_once_by_all_processes(tmp_path, monkeypatch, read):
    (tmp_path / "a").write_text("weights")
    settled(monkeypatch)
    assert [file_hash(tmp_path / "a") for _ in range(2)] == 2 * [sha("weights")]
    assert len(read) == 1
    monkeypatch.setattr(hashes, "_known", {})  # another process
    assert file_hash(tmp_path / "a") == sha("weights")
    assert len(read) == 1


def test_an_edit_is_seen_though_size_number_and_time_of_writing_are_the_old_ones(tmp_path, monkeypatch, read):
    file = tmp_path / "a"
    file.write_text("weights")
    settled(monkeypatch)
    file_hash(file)
    before = file.stat()
    time.sleep(0.02)  # more than a tick, which is what two seconds stand for
    with file.open("r+") as opened:
        opened.write("WEIGHTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )
    assert file_hash(file) == sha("WEIGHTS")
    other = tmp_path / "b"
    other.write_text("another")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert file_hash(file) == sha("another")


def test_a_file_that_changed_a_moment_ago_is_hashed_again(tmp_path, cache, read):
    (tmp_path / "a").write_text("weights")
    for _ in range(2):
        file_hash(tmp_path / "a")
    assert len(read) == 2
    assert not cache.exists()


@pytest.mark.parametrize("kept", ["", "[]", "null", "[1, 2, 3, 4]", '{"a": 1}'])
def test_a_broken_memory_is_none(tmp_path, monkeypatch, cache, read, kept):
    (tmp_path / "a").write_text("weights")
    settled(monkeypatch)
    file_hash(tmp_path / "a")
    (memory,) = cache.iterdir()
    stamp = json.loads(memory.read_text())
    for broken in (kept, json.dumps([*stamp[:4], "short"])):
        memory.write_text(broken)
        monkeypatch.setattr(hashes, "_known", {})
        assert file_hash(tmp_path / "a") == sha("weights")
    assert len(read) == 3


def test_small_files_leave_nothing_behind_and_a_missing_one_is_an_error(tmp_path, monkeypatch, cache):
    (tmp_path / "a").write_text("abc")
    settled(monkeypatch)
    assert file_hash(tmp_path / "a") == sha("abc")
    assert not cache.exists()
    with pytest.raises(FileNotFoundError):
        file_hash(tmp_path / "nowhere")
