"""Every commit records what its rows were made from, and keeps the record."""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from preceptor.fingerprint import Fingerprint, fingerprint
from preceptor.lake.content import content_hash
from preceptor.lake.history import commit_of, history
from preceptor.lake.resume import put
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import ATTEMPTS, LakeError
from tests.lake.samples import NAMES

PARTITION = {"reward_model": "r", "teacher": "t"}


def rows(*rewards: float) -> pl.DataFrame:
    return REWARDS.conform(
        pl.DataFrame(
            [
                {"response_id": f"{n}", "instruction_id": "i", "sample": 0, "reward": reward, "error": None}
                for n, reward in enumerate(rewards)
            ]
        )
    )


def test_a_commit_records_what_its_rows_were_made_from(lake):
    mark = fingerprint("rewards", 2, model="m", settings={"label": 0})
    outcome = put(
        lake.made_from({"responses": 4, "unread": None}, {"name": "r"}), REWARDS, PARTITION, mark, rows(1, 2)
    )
    (commit,) = history(lake, REWARDS)
    assert (commit.table, commit.version, commit.partition) == ("rewards", outcome.version, PARTITION)
    assert (commit.rows, commit.reads, commit.declared) == (2, {"responses": 4}, {"name": "r"})
    assert commit.settings == {"step": "rewards", "version": 2, "model": "m", "settings": {"label": 0}}
    assert Fingerprint.of(commit.made_of) == commit.fingerprint == mark
    stored = lake.read(REWARDS, PARTITION, columns=commit.columns, version=commit.version)
    assert content_hash(stored, REWARDS.key) == commit.content


def test_the_commit_of_a_partition_at_a_version_is_the_last_one_before_it(lake):
    for number, teacher in enumerate(["a", "b", "a", "b"]):
        lake.publish(REWARDS, rows(number), {"reward_model": "r", "teacher": teacher}, f"made-{number}")
    commits = history(lake, REWARDS)
    assert [commit.fingerprint for commit in commits] == ["made-3", "made-2", "made-1", "made-0"]
    first = commits[-1].version
    of = {"reward_model": "r", "teacher": "a"}
    assert commit_of(commits, of).fingerprint == "made-2"
    assert commit_of(commits, of, first + 1).fingerprint == "made-0"
    assert commit_of(commits, of, first - 1) is None
    assert commit_of(commits, {"reward_model": "r", "teacher": "c"}) is None
    assert commits[0].made_of is None


@pytest.mark.parametrize("name", NAMES)
def test_a_partitions_name_is_read_back_unchanged(lake, name):
    lake.publish(REWARDS, rows(1), {"reward_model": "r", "teacher": name}, "made")
    assert [commit.partition["teacher"] for commit in history(lake, REWARDS)] == [name]


def test_an_unreadable_log_is_named(lake):
    lake.publish(REWARDS, rows(1), PARTITION, "made")
    Path(lake.uri(REWARDS), "_delta_log", "00000000000000000001.json").write_text("no json")
    with pytest.raises(LakeError, match=r"00000000000000000001\.json is not the file that was written"):
        history(lake, REWARDS)
    shutil.rmtree(Path(lake.uri(REWARDS), "_hashes"))
    with pytest.raises(LakeError, match="cannot read table rewards"):
        history(lake, REWARDS)


def committing(lake, monkeypatch, times: int) -> None:
    """Another writer commits just before each of the first readings of a loaded log."""
    read, left = DeltaTable.history, list(range(times))

    def meanwhile(delta, limit=None):
        if left:
            lake.publish(REWARDS, rows(left.pop()), {"reward_model": "r", "teacher": "other"}, "other")
        return read(delta, limit)

    monkeypatch.setattr(DeltaTable, "history", meanwhile)


def test_a_commit_during_the_reading_does_not_shift_versions(lake, monkeypatch):
    made = [lake.publish(REWARDS, rows(number), PARTITION, f"{number}").version for number in range(2)]
    committing(lake, monkeypatch, times=3)
    found = {commit.fingerprint: commit.version for commit in history(lake, REWARDS)[2:]}
    assert found == {"other": made[1] + 1, "1": made[1], "0": made[0]}


def test_a_log_that_changes_during_every_reading_is_an_error(lake, monkeypatch):
    lake.publish(REWARDS, rows(1), PARTITION, "made")
    committing(lake, monkeypatch, times=ATTEMPTS)
    with pytest.raises(LakeError, match="committed during each of 12"):
        history(lake, REWARDS)


@pytest.mark.slow
def test_the_history_outlives_deltas_thirty_days(lake):
    """By default delta-rs removes older commits when it writes a checkpoint, every hundred versions."""
    for number in range(205):
        lake.publish(REWARDS, rows(number), PARTITION, f"{number}")
        if number == 150:
            for path in Path(lake.uri(REWARDS), "_delta_log").iterdir():
                os.utime(path, (0, 0))
    assert len(history(lake, REWARDS)) == 205
    assert lake.read(REWARDS, version=3)["reward"].to_list() == [2.0]
