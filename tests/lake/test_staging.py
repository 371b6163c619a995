"""Finished rows are committed together within seconds, even if no further row follows."""

import threading

import pytest
from polars.testing import assert_frame_equal

from preceptor.lake import staging
from preceptor.lake.resume import complete
from preceptor.lake.staging import Waiting
from preceptor.lake.store import LakeError
from tests.lake.samples import STAGING, finish, read_rows, rewards, work

LONG = 120.0  # seconds; a test that waits this long fails


class Commits:
    """Records the commits."""

    def __init__(self, fails=False):
        self.groups, self.came, self.fails = [], threading.Event(), fails

    def __call__(self, rows):
        self.came.set()
        if self.fails:
            raise LakeError("the disk is full")
        self.groups.append([row["n"] for row in rows])


def numbered(count):
    return [{"n": n} for n in range(count)]


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, [[0], [1], [2]]), (3600.0, [[0, 1, 2]])])
def test_rows_are_committed_once_the_first_has_waited_long_enough(seconds, expected, monkeypatch):
    monkeypatch.setattr(staging, "SECONDS_PER_COMMIT", seconds)
    commits = Commits()
    with Waiting(commits) as waiting:
        for row in numbered(3):
            waiting.add(row)
    assert commits.groups == expected


def test_finished_rows_of_a_failing_engine_are_committed_before_its_error():
    commits = Commits()
    with pytest.raises(ConnectionError), Waiting(commits) as waiting:
        waiting.add({"n": 0})
        raise ConnectionError
    assert commits.groups == [[0]]


def test_rows_are_committed_while_the_engine_yields_nothing(lake, monkeypatch):
    monkeypatch.setattr(staging, "SECONDS_PER_COMMIT", 0.02)
    staged, append = threading.Event(), type(lake).append

    def told(self, *arguments):
        found = append(self, *arguments)
        if self.read(STAGING, columns=["fingerprint"]).height == 7:
            staged.set()
        return found

    monkeypatch.setattr(type(lake), "append", told)

    def compute(missing):
        for number, row in enumerate(finish(missing)):
            assert number != 7 or staged.wait(LONG), "nobody committed the rows"
            yield row

    complete(lake, work(), compute)
    assert_frame_equal(read_rows(lake), rewards())
    assert lake.read(STAGING).is_empty()


@pytest.mark.parametrize("more", [True, False], ids=["at the next row", "at the end"])
def test_a_commit_that_fails_while_the_engine_yields_nothing_is_raised(more, monkeypatch):
    monkeypatch.setattr(staging, "SECONDS_PER_COMMIT", 0.01)
    commits = Commits(fails=True)
    with pytest.raises(LakeError, match="the disk is full"), Waiting(commits) as waiting:
        waiting.add({"n": 0})
        assert commits.came.wait(LONG)
        waiting._watcher.join(LONG)
        if more:
            waiting.add({"n": 1})
            pytest.fail("it went on")


def test_a_partition_of_many_rows_takes_few_commits(lake, monkeypatch):
    monkeypatch.setattr(staging, "SECONDS_PER_COMMIT", 3600.0)
    complete(lake, work(5000), finish)
    assert lake.version(STAGING) == 2  # one commit of rows, and one that clears them
    assert read_rows(lake)["response_id"].n_unique() == 5000
