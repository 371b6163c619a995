"""The Dagster instance of a study: its home folder, and its partitions as the study declares them."""

import os
import shutil
import socket
from pathlib import Path

import dagster as dg

from preceptor.study.schema import Study

HOST, PROCESS = "preceptor/host", "preceptor/process"
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
    released = []
    here = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
        tags={HOST: socket.gethostname()},
    )
    for run in instance.get_runs(here):
        if not Path(f"/proc/{run.tags[PROCESS]}").exists():
            instance.report_run_failed(run, "its process was killed")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            released.append(run.run_id)
    return released


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
