"""The hashes of committed files are complete after any kill, and readers refuse changed files."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from preceptor.audit.stored import stored_files
from preceptor.lake.gaps import gaps
from preceptor.lake.ledger import (
    LAST_CHECKPOINT,
    checkpoint_hashes_name,
    encoded,
    entry_name,
    log_name,
    record,
)
from preceptor.lake.resume import put
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from preceptor.lake.table_files import TableFiles
from preceptor.lake.trust import Trust
from preceptor.lake.vacuum import vacuum
from preceptor.lake.warehouse import Warehouse
from tests.lake.samples import NAMES, partition, rewards
from tests.lake.test_s3 import s3_endpoint, s3_lake  # noqa: F401 - fixtures


def said(lake: Lake) -> list[tuple[bool | None, str]]:
    """Each finding's `holds` and `says`."""
    return [(finding.holds, finding.says) for finding in stored_files(lake).findings]


def sound(lake: Lake) -> tuple[int, int]:
    """Commits and data files that the one positive finding counts."""
    (text,) = (text for holds, text in said(lake) if holds)
    commits, files = map(int, re.findall(r"\d+", text))
    return commits, files


def problems(lake: Lake) -> list[str]:
    return [text for holds, text in said(lake) if holds is False]


def publish(lake: Lake, *fingerprints: str, teacher: str = "teacher") -> None:
    for fingerprint in fingerprints:
        lake.publish(REWARDS, rewards(4, fingerprint), partition(teacher), fingerprint)


def table(lake: Lake) -> Path:
    return Path(lake.uri(REWARDS))


def data_file(lake: Lake) -> Path:
    return next(table(lake).glob("*/*/*.parquet"))


def flip(path: Path, at: int = -10) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_every_file_of_every_commit_is_hashed_whatever_its_partition_is_called(lake):
    for name in NAMES:
        publish(lake, "f1", teacher=name)
    publish(lake, "f2", teacher=NAMES[0])
    files = len(NAMES) + 1
    assert [holds for holds, _ in said(lake)] == [True]
    assert sound(lake) == (files + 1, files)
    assert stored_files(lake).heads["rewards"].version == files
    assert [removal.table for removal in vacuum(lake, 0, dry_run=False)] == ["rewards"]
    assert [holds for holds, _ in said(lake)] == [True]  # vacuumed files are not reported


@pytest.mark.parametrize("again", ["another commit", "the same rows once more"])
def test_hashes_that_a_killed_writer_left_out_are_added_by_the_next_one(lake, monkeypatch, again):
    publish(lake, "f1")
    with monkeypatch.context() as killed:
        killed.setattr(Lake, "record", lambda *_: None)
        publish(lake, "f2", "f3")
    assert sound(lake) == (2, 1)
    _, (holds, text) = said(lake)
    assert holds is None and text.startswith("version 2 to 3: no hashes yet")
    assert f"{table(lake)}/{entry_name(2)}" in text
    if again == "another commit":
        publish(lake, "f4")
    else:
        put(lake, REWARDS, partition(), "f3", rewards(4, "f3"))
    assert [holds for holds, _ in said(lake)] == [True]
    assert set(stored_files(lake).heads) == {"rewards"}


def of_an_older_release(lake: Lake) -> None:
    """Take away what this release adds to a store."""
    shutil.rmtree(table(lake) / "_hashes")
    for log in (table(lake) / "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace('"hashes":"sha256",', "").replace(',"hashes":"sha256"', ""))


def test_a_store_of_an_older_release_is_read_and_its_commits_are_reported_without_hashes(lake):
    publish(lake, "f1", "f2")
    of_an_older_release(lake)
    ((holds, text),) = said(lake)
    assert holds is None and text.startswith("version 0 to 2: no file hashes") and "older release" in text
    assert lake.read(REWARDS).height == 4
    publish(lake, "f3")
    assert sound(lake) == (4, 1)
    assert said(lake)[1:] == [(None, text)]
    flip(table(lake) / log_name(1))  # its log entry was hashed by the commit of f3
    assert problems(lake) == [f"{table(lake)}/{log_name(1)} is not the file that was written"]


def test_removed_hashes_are_reported(lake):
    publish(lake, "f1", "f2")
    shutil.rmtree(table(lake) / "_hashes")
    ((holds, text),) = said(lake)
    assert holds is False and text.startswith(f"{table(lake)}/_hashes is gone") and "3 commits" in text


def test_a_rewritten_commit_breaks_the_chain_of_hashes(lake):
    """Somebody forges a commit's log entry and its hashes. The next version's hash file reveals it."""
    publish(lake, "f1", "f2")
    log, hashes = table(lake) / log_name(1), table(lake) / entry_name(1)
    log.write_text(log.read_text().replace("f1", "f9"))
    entry = json.loads(hashes.read_text().splitlines()[1])
    hashes.write_bytes(encoded(entry | {"log": lake.files(REWARDS).sha256(log_name(1))}))
    (problem,) = problems(lake)
    assert problem.startswith(f"{table(lake)}/{entry_name(2)} does not match the previous version's file")


def test_a_changed_statistic_stops_every_reader_by_name(lake):
    """If Delta's statistics call a column null, Arrow returns nulls and does not read the file."""
    publish(lake, "f1")
    log = table(lake) / log_name(1)
    log.write_text(re.sub(r'(nullCount\\":\{[^}]*\\"reward\\":)0', r"\g<1>4", log.read_text()))
    for read in (lake.read, Warehouse(lake, Path()).attach):
        with pytest.raises(LakeError, match=rf"{log.name} is not the file that was written"):
            read(REWARDS)
    shutil.rmtree(table(lake) / "_hashes")
    assert lake.read(REWARDS)["reward"].to_list() == [0.5] * 4  # without hashes the statistic is ignored


def later(lake: Lake, monkeypatch) -> None:
    """Simulate another process, long after every writer has finished."""
    monkeypatch.setattr("preceptor.lake.trust._known", {})
    for path in table(lake).rglob("*"):
        os.utime(path, (1e9, 1e9))


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    ("damage", "version", "problem"),
    [
        (flip, 1, f"{entry_name(1)} is damaged: "),
        (remove, 1, f"{entry_name(1)} is gone. "),
        (remove, 3, "rewards, version 3: hashes are missing"),
        (remove_all, 1, "rewards/_hashes is gone (version 0 to 3): hashes are missing"),
    ],
)
def test_lost_hashes_are_logged_once_and_other_files_are_still_checked(
    lake, caplog, monkeypatch, damage, version, problem
):
    publish(lake, "f1", teacher="a")
    publish(lake, "f1", teacher="b")
    publish(lake, "f1", teacher="c")
    damage(table(lake) / entry_name(version))
    if version == 3:
        assert gaps(lake) == []  # its writer may still be running
    later(lake, monkeypatch)
    assert lake.read(REWARDS).height == 12
    (warning,) = caplog.messages
    assert problem in warning and "python -m jobs.audit" in warning
    assert gaps(lake) == [warning]
    if damage is not remove_all:
        flip(next(table(lake).rglob("teacher=b/*.parquet")))
        with pytest.raises(LakeError, match="is not the file that was written"):
            lake.read(REWARDS)
    assert len(caplog.messages) == 1  # once per process


def test_a_replaced_hash_file_is_reported(lake, caplog, monkeypatch):
    publish(lake, "f1", "f2")
    hashes = table(lake) / entry_name(1)
    entry = json.loads(hashes.read_text().splitlines()[1])
    hashes.write_bytes(encoded(entry | {"files": {}}))
    later(lake, monkeypatch)
    lake.read(REWARDS)
    (warning,) = caplog.messages
    assert f"{entry_name(2)} does not match the previous version's file" in warning


def test_hashes_of_a_killed_writer_are_no_gap_once_the_next_one_added_them(lake, monkeypatch):
    publish(lake, "f1")
    with monkeypatch.context() as killed:
        killed.setattr(Lake, "record", lambda *_: None)
        publish(lake, "f2")
    later(lake, monkeypatch)
    assert "version 2: hashes are missing" in gaps(lake)[0]
    publish(lake, "f3")
    assert gaps(lake) == []


def test_a_removed_last_commit_stops_every_reader(lake):
    """Without the last commit, the table would look intact, only older."""
    publish(lake, "f1", "f2")
    (table(lake) / log_name(2)).unlink()
    with pytest.raises(LakeError, match=rf"{log_name(2)} is gone"):
        lake.read(REWARDS)


def test_a_remote_reader_checks_the_log_only_from_deltas_checkpoint_on(lake, monkeypatch):
    """Each file is a request, so of thousands of commits only the last ones are read."""
    publish(lake, "f1", "f2", "f3")
    lake.existing(REWARDS).create_checkpoint()
    record(lake.files(REWARDS), 3)
    publish(lake, "f4", "f5")
    far = TableFiles(lake.uri(REWARDS), LocalFileSystem())
    asked = []
    read = TableFiles.read
    monkeypatch.setattr(TableFiles, "read", lambda self, name: asked.append(name) or read(self, name))
    assert Trust(far).log_problem() is None
    assert set(asked) == {checkpoint_hashes_name(3), *map(entry_name, (3, 4, 5))}
    flip(table(lake) / log_name(1))
    assert Trust(far).log_problem() is None  # no current row needs it
    changed = f"{log_name(1)} is not the file that was written"
    assert Trust(far).log_problem(version=2) == Trust(far).log_problem(whole=True) == changed
    flip(table(lake) / log_name(1))
    flip(table(lake) / log_name(4))
    assert Trust(far).log_problem() == f"{log_name(4)} is not the file that was written"


def test_a_checkpoint_without_hashes_is_reported_and_can_be_removed(lake, monkeypatch):
    """Readers would start with it, whatever it contains."""
    publish(lake, "f1", "f2")
    lake.existing(REWARDS).create_checkpoint()
    (state,) = (table(lake) / "_delta_log").glob("*.checkpoint.parquet")
    later(lake, monkeypatch)
    (sentence,) = gaps(lake)
    assert str(state) in sentence and "has no hashes: remove it" in sentence
    state.unlink()
    (table(lake) / LAST_CHECKPOINT).unlink()
    assert (gaps(lake), lake.read(REWARDS).height) == ([], 4)


def test_a_damaged_data_file_stops_every_reader_by_name(lake):
    publish(lake, "f1")
    flip(data_file(lake))
    for read in (lake.read, Warehouse(lake, Path()).attach):
        with pytest.raises(LakeError, match=rf"{data_file(lake).name} is not the file that was written"):
            read(REWARDS)


def test_invalid_utf8_is_an_error_even_without_hashes(lake):
    """Polars panics on invalid UTF-8."""
    publish(lake, "f1")
    of_an_older_release(lake)
    path = data_file(lake)
    whole = path.read_bytes()
    assert b"r000" in whole
    path.write_bytes(whole.replace(b"r000", b"r0\xff0"))
    with pytest.raises(LakeError, match=r"a data file of .* cannot be read: .*UTF8"):
        lake.read(REWARDS)


def test_a_recreated_table_in_the_same_place_can_be_read(lake):
    publish(lake, "f1", "f2")
    assert lake.read(REWARDS).height == 4
    shutil.rmtree(table(lake))
    publish(lake, "f3")
    assert lake.read(REWARDS)["error"].str.ends_with("f3").all()


def test_unwritable_hashes_are_an_error_and_the_committed_rows_stay(lake, monkeypatch):
    publish(lake, "f1")

    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("preceptor.lake.table_files.TableFiles.write", full)
        with pytest.raises(LakeError, match=r"committed as version 2 of .*rewards, .*hashes"):
            publish(lake, "f2")
        outcome = put(lake, REWARDS, partition(), "f2", rewards(4, "f2"))
    assert (outcome.version, outcome.computed) == (2, 0)


@pytest.mark.slow
def test_a_changed_object_on_s3_is_named(s3_lake, monkeypatch):  # noqa: F811
    publish(s3_lake, "f1", "f2")
    files = s3_lake.files(REWARDS)
    assert sound(s3_lake) == (3, 2)
    files.write(log_name(1), (files.read(log_name(1)) or b"") + b"\n")
    assert said(s3_lake) == [
        (False, f"{s3_lake.uri(REWARDS)}/{log_name(1)} is not the file that was written")
    ]
    monkeypatch.setattr("preceptor.lake.trust._known", {})  # as another process
    with pytest.raises(LakeError, match="is not the file that was written"):
        s3_lake.read(REWARDS)
