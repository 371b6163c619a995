"""The Dagster instance of a study: its home folder, and its partitions as the study declares them."""

import os
import shutil
import socket
from pathlib import Path

import dagster as dg

from preceptor.study.schema import Study

HOST, PROCESS = "preceptor/host", "preceptor/process"
BEGUN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
CHECKOUT = Path(__file__).parent.parent


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


def release_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of processes of this machine that were killed, and give back the slots that they hold.

    Without this the next GPU step would wait for ever for the pool of a run that is no more.
    """
    here = dg.RunsFilter(statuses=BEGUN, tags={HOST: socket.gethostname()})
    dead = [run for run in instance.get_runs(here) if not Path(f"/proc/{run.tags[PROCESS]}").exists()]
    for run in dead:
        release(instance, run)
    return [run.run_id for run in dead]


def begun_in(instance: dg.DagsterInstance, location: str) -> list[dg.DagsterRun]:
    """The runs that a code location has begun and not ended; what jobs.run_study runs is in none."""
    begun = instance.get_runs(dg.RunsFilter(statuses=BEGUN))
    origins = [(run, run.remote_job_origin) for run in begun]
    return [
        run
        for run, origin in origins
        if origin is not None and origin.repository_origin.code_location_origin.location_name == location
    ]


def release(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """End a run whose process is gone, and give back the slots that it holds."""
    instance.report_run_failed(run, "its process was killed")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def synchronise(instance: dg.DagsterInstance, study: Study) -> list[str]:
    """Make the teachers' and bases' partitions those of the study; returns what changed, in words.

    A teacher that left loses its partition key, not its rows.
    """
    changes = []
    for kind, parts in (("teachers", study.teachers), ("bases", study.bases)):
        name = f"{study.name}/{kind}"
        wanted, present = [part.name for part in parts], instance.get_dynamic_partitions(name)
        new = [key for key in wanted if key not in present]
        if new:
            instance.add_dynamic_partitions(name, new)
            changes.append(f"{len(new)} new {kind}: {', '.join(new)}")
        for key in set(present) - set(wanted):
            instance.delete_dynamic_partition(name, key)
            changes.append(f"{key} left the study's {kind}")
    return changes
