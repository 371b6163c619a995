"""Kills of the real engine and of its owner: no row is lost or doubled, and no process is left."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("vllm")

from polars.testing import assert_frame_equal

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.request import Decoding
from preceptor.engines import vllm_generator
from preceptor.engines.engine_process import EngineError
from tests.engines import lake_run
from tests.engines.processes import children, gone, named, shared_memory_of
from tests.engines.teachers import SMALL, requests, stream, vllm

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
GREEDY = Decoding(max_new_tokens=60)


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch):
    """Use small caches, and check that this test's engines leave no shared memory behind."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    mark, mapped, over = uuid.uuid4().hex, set(), threading.Event()
    monkeypatch.setenv("PRECEPTOR_TEST_MARK", mark)

    def watch():
        while not over.wait(0.2):
            mapped.update(shared_memory_of(mark))

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield mapped
    over.set()
    watcher.join()
    end = time.monotonic() + 120
    while left := [segment for segment in mapped if segment.exists()]:
        assert time.monotonic() < end, f"shared memory is left: {left}"
        time.sleep(0.1)


class Kept:
    """An engine that is not closed after a run."""

    def __init__(self, generator):
        self.stream, self.facts = generator.stream, generator.facts

    def close(self):
        pass


class Disturbed:
    """Streams rows, and kills one of the engine's processes after `after` rows of each launch."""

    def __init__(self, generator, after, victims):
        self.generator, self.after, self.victims = generator, after, list(victims)
        self.groups = []

    def stream(self, asked):
        for number, (row, answer) in enumerate(self.generator.stream(asked), 1):
            group = self.generator._engine.pid
            if self.victims and number >= self.after and group not in self.groups:
                self.groups.append(group)
                os.kill(self.victims.pop(0)(group), signal.SIGKILL)
            yield row, answer


def engine_core(group: int) -> int:
    return named(group, "EngineCore")


def worker(group: int) -> int:
    return group


def test_an_engine_killed_once_is_replaced_and_a_second_time_is_an_error(caplog, monkeypatch, nothing_left):
    # With this window, the engine cannot finish all rows before this process reads the twentieth.
    monkeypatch.setattr(vllm_generator, "WINDOW", 64)
    expected = stream(TransformersGenerator(SMALL, decoding=GREEDY), requests())
    with closing(vllm(SMALL, GREEDY)) as generator:
        once = Disturbed(generator, 20, [engine_core])
        caplog.set_level("INFO")
        assert stream(once, requests()) == expected
        assert generator.facts["relaunches"] == 1
        assert "did not respond" not in caplog.text  # a death is detected long before the silence limit
        twice, found = Disturbed(generator, 20, [worker, engine_core]), {}
        with pytest.raises(EngineError, match="died twice") as caught:
            for row, answer in twice.stream(requests()):
                assert row not in found
                found[row] = answer
    assert f"{len(found)} of 600 rows were finished" in str(caught.value)
    assert len(found) < 600
    assert all(expected[row] == answer for row, answer in found.items())
    assert all(gone(group) for group in (*once.groups, *twice.groups))
    assert len(nothing_left) >= 3  # shared memory of each launch was found, so leaks would be too


def start(store) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engines.lake_run", str(store)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(owner: subprocess.Popen, moment) -> int:
    """Kill only the owner once `moment` is true. Returns its engine's process group."""
    while not moment():
        assert owner.poll() is None, "it failed before it could be killed"
        time.sleep(0.002)
    (group,) = children(owner.pid)
    owner.kill()
    owner.wait()
    return group


def test_an_engine_ends_when_its_owner_is_killed_while_it_starts(tmp_path):
    owner = start(tmp_path)
    moment = time.monotonic() + 12
    group = kill_when(owner, lambda: children(owner.pid) and time.monotonic() > moment)
    assert gone(group)


def test_a_killed_owner_leaves_no_process_and_its_rows_are_finished_once(tmp_path):
    store = tmp_path / "killed"
    owner = start(store)
    group = kill_when(owner, lambda: lake_run.staged(str(store)) == lake_run.FINISHED)
    assert gone(group)
    with closing(lake_run.load(lake_run.TEACHER)) as generator:
        resumed = lake_run.respond(str(store), lambda _: Kept(generator))
        undisturbed = lake_run.respond(str(tmp_path / "calm"), lambda _: Kept(generator))
    assert resumed.reused == lake_run.FINISHED
    assert resumed.reused + resumed.computed == 600
    assert_frame_equal(resumed.rows, undisturbed.rows)
    assert resumed.rows["response_id"].n_unique() == 600
