"""Kills, concurrent writers and a full disk: no row is lost, mixed, doubled or computed twice."""

import contextlib
import os
import random
import subprocess
import time
from itertools import islice

import pytest
from polars.testing import assert_frame_equal

from preceptor.audit.stored import stored_files
from preceptor.lake import staging
from preceptor.lake.resume import complete
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from tests.lake.samples import (
    CHUNK,
    STAGING,
    Writer,
    finish,
    partition,
    read_rows,
    rewards,
    run_together,
    work,
)

pytestmark = pytest.mark.slow
KILLS = 40
PAUSE = 0.005
ROWS = 12


def unhashed(lake):
    """The audit's findings about files that it could not verify."""
    return [str(finding) for finding in stored_files(lake).findings if not finding.holds]


def duration_undisturbed(root, journals):
    writer = Writer(root, journals, pause=PAUSE)
    writer.wait()
    started = time.monotonic()
    run_together([writer], "calm")
    duration = time.monotonic() - started
    writer.kill()
    return duration


def test_kills_lose_only_rows_in_flight_and_readers_never_see_partial_work(tmp_path):
    lake = Lake(str(tmp_path), "killed")
    moments, longest = random.Random(0), 0.6 * duration_undisturbed(lake.root, tmp_path)
    kills, kills_now, number = 0, 0, 1
    while kills < KILLS or kills_now:
        fingerprint, writer = f"f{number}", Writer(lake.root, tmp_path, pause=PAUSE)
        writer.wait()
        writer.go("killed", fingerprint)
        if kills < KILLS:
            time.sleep(moments.uniform(0, longest))
            finished = writer.kill()
        else:
            writer.wait()
            finished = not writer.kill()
        if not finished:
            kills, kills_now = kills + 1, kills_now + 1
            found = read_rows(lake)
            old = rewards(ROWS, f"f{number - 1}") if number > 1 else rewards(0)
            assert found.equals(old) or found.equals(rewards(ROWS, fingerprint))
            continue
        assert_frame_equal(read_rows(lake), rewards(ROWS, fingerprint))
        assert set(lake.read(REWARDS)["fingerprint"]) == {fingerprint}
        assert lake.read(STAGING).is_empty()
        computed = writer.journal("killed", fingerprint)
        assert set(computed) == set(rewards(ROWS)["response_id"])
        assert len(computed) <= ROWS + CHUNK * kills_now
        number, kills_now = number + 1, 0
    assert number > 2, "no kill met a table with old rows"
    assert unhashed(lake) == []


def test_first_writers_of_different_partitions_lose_nothing(tmp_path, start):
    writers = start(str(tmp_path), "a", "b", "c")
    for study in ("one", "two", "three", "four", "five"):
        run_together(writers, study)
        lake = Lake(str(tmp_path), study)
        for writer in writers:
            assert_frame_equal(read_rows(lake, place=partition(writer.teacher)), rewards(ROWS))
            assert writer.journal(study) == rewards(ROWS)["response_id"].to_list()
        assert lake.read(REWARDS).height == 3 * ROWS
        assert lake.read(STAGING).is_empty()
        assert unhashed(lake) == []


def test_two_writers_of_one_partition_leave_each_row_once(tmp_path, start):
    writers = start(str(tmp_path), "teacher", "teacher", pause=0.002)
    for study in ("one", "two", "three", "four", "five"):
        run_together(writers, study)
        lake = Lake(str(tmp_path), study)
        assert_frame_equal(read_rows(lake), rewards(ROWS))
        assert lake.read(STAGING).is_empty()
        assert unhashed(lake) == []


def test_hundreds_of_commits_resume_across_log_checkpoints(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "SECONDS_PER_COMMIT", 0.0)
    stop = 120

    def compute(missing):
        yield from islice(finish(missing), stop)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(lake, work(150), compute)
    assert list(tmp_path.rglob("*.checkpoint.parquet"))
    outcome = complete(lake, work(150), finish)
    assert (outcome.computed, outcome.reused) == (30, stop)
    assert_frame_equal(read_rows(lake), rewards(150))
    assert unhashed(lake) == []  # including the log's checkpoint


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@contextlib.contextmanager
def only_free(disk, blocks):
    space = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes((space.f_bavail - blocks) * space.f_frsize))
    yield
    ballast.unlink()


@pytest.mark.parametrize("blocks", [0, 1], ids=["no room for data", "no room for the commit"])
def test_a_full_disk_is_named_and_the_old_rows_stay(small_disk, blocks):
    lake = Lake(str(small_disk), "test")
    version = lake.publish(REWARDS, rewards(), partition(), "f1").version
    with only_free(small_disk, blocks):
        with pytest.raises(LakeError, match=r"(?s)table rewards at .*No space left.*PRECEPTOR_STORE"):
            lake.publish(REWARDS, rewards(20, "f2"), partition(), "f2")
        assert_frame_equal(read_rows(lake), rewards())
    assert lake.version(REWARDS) == version
    lake.publish(REWARDS, rewards(20, "f2"), partition(), "f2")
    assert_frame_equal(read_rows(lake), rewards(20, "f2"))


def test_work_stopped_by_a_full_disk_resumes_where_it_stopped(small_disk, monkeypatch):
    monkeypatch.setattr(staging, "SECONDS_PER_COMMIT", 0.0)
    lake = Lake(str(small_disk), "test")
    with contextlib.ExitStack() as full:

        def compute(missing):
            for number, chunk in enumerate(missing.iter_slices(CHUNK)):
                if number == 2:
                    full.enter_context(only_free(small_disk, 0))
                yield from finish(chunk)

        with pytest.raises(LakeError, match="PRECEPTOR_STORE"):
            complete(lake, work(), compute)
    outcome = complete(lake, work(), finish)
    assert (outcome.computed, outcome.reused) == (10, 10)
    assert_frame_equal(read_rows(lake), rewards())
