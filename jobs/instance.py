"""The Dagster instance of a study: its home folder, and its partitions as the study declares them."""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from preceptor.study.changes import Change, change, membership
from preceptor.study.load import ReadStudy
from preceptor.study.schema import Study

HOST, PROCESS, ASSET = "preceptor/host", "preceptor/process", "preceptor/asset"
WILL_RETRY, RETRIED = "dagster/will_retry", "dagster/auto_retry_run_id"  # Dagster's own
CHECKOUT = Path(__file__).parent.parent
GOING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]


def open_instance(study: Study) -> dg.DagsterInstance:
    """The instance in DAGSTER_HOME, or in .dagster/<study> of the checkout, made where it does not exist."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(CHECKOUT / ".dagster" / study.name)))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml")
    return dg.DagsterInstance.get()


def process_tags() -> dict[str, str]:
    """Tags by which a later process can tell that this one is gone."""
    return {HOST: socket.gethostname(), PROCESS: str(os.getpid())}


def assets_of(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """What a run makes; those of jobs.run_study have no selection, and a tag instead."""
    if ASSET in run.tags:
        return {dg.AssetKey(run.tags[ASSET])}
    return set(run.asset_selection or ())


def release_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of processes of this machine that were killed, and give back the slots that they hold.

    Without this the next GPU step would wait for ever for the pool of a run that is no more.
    """
    released = []
    for run in instance.get_runs(dg.RunsFilter(statuses=GOING, tags={HOST: socket.gethostname()})):
        if not Path(f"/proc/{run.tags[PROCESS]}").exists():
            release(instance, run)
            released.append(run.run_id)
    return released


def release_served_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of a server that is no more; returns what that was, in words.

    Only for who alone serves the instance: whoever else started a run through it must be gone. The next
    daemon starts them again (`run_retries` in dagster.yaml), and they go on from what they committed.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=GOING))
    served = [run for run in runs if PROCESS not in run.tags]
    for run in served:
        release(instance, run)
    return [
        f"run {run.run_id} ended with its server; the daemon starts it again, twice at most" for run in served
    ]


def runs_of(instance: dg.DagsterInstance, location: str) -> list[dg.DagsterRun]:
    """The runs under way that a code location has started; what jobs.run_study runs is in none."""
    runs = instance.get_runs(dg.RunsFilter(statuses=GOING))
    origins = [(run, run.remote_job_origin) for run in runs]
    return [
        run
        for run, origin in origins
        if origin is not None and origin.repository_origin.code_location_origin.location_name == location
    ]


def release(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """End a run whose process is gone, and give back the slots that it holds."""
    instance.report_run_failed(run, "its process was killed")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def unfinished(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is still to be ended, or to be started again by the daemon; not one that was deleted."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return False
    return run.status in GOING or (run.tags.get(WILL_RETRY) == "true" and RETRIED not in run.tags)


def present(instance: dg.DagsterInstance, study: Study) -> dict[str, Sequence[str]]:
    """The teachers and bases that have a partition now."""
    return {kind: instance.get_dynamic_partitions(f"{study.name}/{kind}") for kind in membership(study)}


def partition_changes(instance: dg.DagsterInstance, read: ReadStudy) -> list[Change]:
    """Which of the instance's partitions are to come and go, so that they are the study's.

    Nobody leaves while a teacher file cannot be read: it may be theirs.
    """
    wanted, keys = membership(read.study), present(instance, read.study)
    return [change(kind, keys[kind], names, whole=not read.left_out) for kind, names in wanted.items()]


def synchronise(instance: dg.DagsterInstance, read: ReadStudy) -> list[str]:
    """Make the teachers' and bases' partitions those of the study; returns what changed, in words.

    A teacher that left loses its partition key, not its rows.
    """
    sentences = []
    for changed in partition_changes(instance, read):
        keys = f"{read.study.name}/{changed.kind}"
        if changed.joined:
            instance.add_dynamic_partitions(keys, list(changed.joined))
        for name in changed.left:
            instance.delete_dynamic_partition(keys, name)
        sentences += changed.sentences()
    return sentences
