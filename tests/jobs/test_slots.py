"""A killed run's slot becomes free even if its process id is reused; a waiting step names what blocks it."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.storage.tags import TagType, get_tag_type
from dagster._core.test_utils import create_run_for_test

from jobs import release, slots
from jobs.instance import release_dead_runs
from jobs.processes import BEGAN, BOOT, HOST, PROCESS, Fate, began, fate, process_tags

POOL = "gpu"
STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE
LONG_ENDED = {BEGAN: "1"}  # one tick after boot: a process that has the id now is another one


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
        yield instance


def holding(instance, status=STARTED, **tags):
    """A run that has the pool's only slot."""
    tags = {key: value for key, value in {**process_tags(), **tags}.items() if value is not None}
    run = create_run_for_test(instance, status=status, tags={"preceptor/asset": "rewards", **tags})
    claimed = instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "rewards")
    assert claimed.is_claimed
    return run


def free(instance):
    return not instance.event_log_storage.get_concurrency_info(POOL).claimed_slots


def tags_of(process):
    return {**process_tags(), PROCESS: str(process.pid), BEGAN: began(str(process.pid))}


def test_a_process_is_identified_by_its_id_and_start_time():
    mine = process_tags()
    assert fate(mine) == Fate.LIVES
    assert fate(mine | LONG_ENDED) == Fate.GONE
    assert fate(mine | LONG_ENDED | {PROCESS: "1"}) == Fate.GONE  # every container has a process 1
    assert fate(mine | {BOOT: "another"}) == Fate.GONE
    assert fate(mine | {PROCESS: "999999999"}) == Fate.GONE
    assert (
        fate(mine | {HOST: "elsewhere"}) == fate(mine | {HOST: "elsewhere", BOOT: "another"}) == Fate.UNSEEN
    )
    assert fate({}) == Fate.UNNAMED


def test_process_tags_are_hidden_and_older_visible_tags_are_still_read(instance):
    assert {get_tag_type(tag) for tag in process_tags()} == {TagType.HIDDEN}
    for older in ({BEGAN: "1"}, {}):
        shown = {f"preceptor/{tag.removeprefix('.dagster/preceptor_')}": value for tag, value in
                 {**process_tags(), **older}.items()}  # fmt: skip
        assert shown.keys() == {f"preceptor/{fact}" for fact in ("host", "process", "process_began", "boot")}
        assert fate(shown) == (Fate.GONE if older else Fate.LIVES)
        run = create_run_for_test(instance, status=STARTED, tags=shown)
        assert f"of process {os.getpid()} on " in slots.who(instance, run)
        assert len(release_dead_runs(instance)) == len(older)


def test_a_zombie_is_gone_whatever_its_programs_name(tmp_path):
    program = shutil.copy(shutil.which("sleep"), tmp_path / "a) Z 1 (b")
    process = subprocess.Popen([program, "60"])
    tags = tags_of(process)
    assert fate(tags) == Fate.LIVES
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it ended, and its status was not read
    assert fate(tags) == Fate.GONE
    process.wait()
    assert fate(tags) == Fate.GONE


@pytest.mark.parametrize("status", [STARTED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.CANCELING])
def test_a_killed_run_is_failed_and_its_slot_freed_even_if_its_process_id_is_reused(instance, status):
    run = holding(instance, status, **LONG_ENDED)
    assert release_dead_runs(instance) == [
        f"run {run.run_id[:8]} (rewards) was killed; it is marked as failed and its slot is free"
    ]
    assert instance.get_run_by_id(run.run_id).status == FAILURE
    assert free(instance)
    assert release_dead_runs(instance) == []


def test_a_run_that_is_alive_on_another_host_or_served_keeps_its_slot(instance):
    for tags in ({}, {HOST: "elsewhere"} | LONG_ENDED, dict.fromkeys((HOST, PROCESS, BEGAN, BOOT))):
        run = holding(instance, **tags)
        assert release_dead_runs(instance) == []
        assert instance.get_run_by_id(run.run_id).status == STARTED
        assert not free(instance)
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def test_a_slot_of_an_ended_or_deleted_run_becomes_free(instance):
    for remove in (instance.report_run_failed, lambda run: instance.run_storage.delete_run(run.run_id)):
        remove(holding(instance, **LONG_ENDED))
        assert release_dead_runs(instance) == []
        assert free(instance)


def test_a_run_that_ends_normally_during_the_check_is_not_failed(instance, monkeypatch):
    run = holding(instance, **LONG_ENDED)
    seen = instance.get_runs()
    monkeypatch.setattr(instance, "get_runs", lambda *_, **__: seen)
    instance.run_storage.handle_run_event(
        run.run_id,
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name),
        datetime.now(UTC),
    )
    assert release_dead_runs(instance) == []
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.SUCCESS


def waiting(instance):
    """A run of this process that requests the slot and has to wait."""
    run = create_run_for_test(instance, status=STARTED, tags=process_tags())
    assert not instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "rewards").is_claimed


def test_a_waiting_step_names_the_run_process_host_and_command_to_end_it(instance, monkeypatch):
    monkeypatch.setenv("PRECEPTOR_STUDY", "mine.yaml")
    holder = holding(instance, **{HOST: "elsewhere", PROCESS: "17"})
    assert slots.waits(instance) == ""
    waiting(instance)
    said, number = slots.waits(instance), holder.run_id[:8]
    assert f"waits for run {number} (rewards) of process 17 on elsewhere, since 20" in said
    assert said.endswith(f"`.venv/bin/python -m jobs.release mine.yaml {number}`")
    other = subprocess.Popen(["sleep", "60"])
    try:
        instance.add_run_tags(holder.run_id, tags_of(other))
        assert f"`kill {other.pid}`" in slots.waits(instance)
    finally:
        other.kill()
        other.wait()
    instance.add_run_tags(holder.run_id, process_tags())
    assert slots.waits(instance) == ""  # it waits for another step of this process


def test_jobs_release_ends_a_run_of_another_host_and_refuses_one_that_is_alive(
    instance, tmp_path, monkeypatch, capsys
):
    (tmp_path / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(release, "load_study", lambda _: None)
    monkeypatch.setattr(release, "open_instance", lambda _: instance)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["release", "mine.yaml", *arguments])
        release.main()
        return capsys.readouterr().out

    run = holding(instance, **{HOST: "elsewhere", PROCESS: "17"})
    assert f"run {run.run_id[:8]} (rewards) of process 17 on elsewhere, since" in command()
    assert command(run.run_id[:8]).startswith(f"ended: run {run.run_id[:8]}")
    assert instance.get_run_by_id(run.run_id).status == FAILURE
    assert free(instance)
    run = holding(instance)
    with pytest.raises(SystemExit, match=f"its process {os.getpid()} is alive"):
        command(run.run_id)
    with pytest.raises(SystemExit, match="matches 0 of the 1 runs under way"):
        command("nothing")
    assert not free(instance)
