"""Describe which run holds the slot that a step waits for, and how to end that run."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from jobs.instance import holders, release_dead_runs, subject
from jobs.processes import Fate, fate, process_of

SECONDS_BETWEEN_LOOKS = 5.0
LOOKS_BETWEEN_REPORTS = 120  # ten minutes


def held(instance: dg.DagsterInstance) -> list[str]:
    """One sentence per run that holds a slot: its assets, process, start time, and how to end it."""
    runs = [run for run in map(instance.get_run_by_id, holders(instance)) if run is not None]
    return [f"{who(instance, run)}. {advice(run)}" for run in runs]


def who(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """A run's id, assets, process, host and start time."""
    record = instance.get_run_record_by_id(run.run_id)
    began = record and (record.start_time or record.create_timestamp.timestamp())
    since = f", since {datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M} UTC" if began else ""
    process = process_of(run.tags)
    place = f"process {process.number} on {process.host}" if process else "Dagster's server"
    return f"run {run.run_id[:8]} ({subject(run)}) of {place}{since}"


def advice(run: dg.DagsterRun) -> str:
    """How to end a run that others wait for."""
    ending = f"`{release_command()} {run.run_id[:8]}`"
    process = process_of(run.tags)
    match fate(run.tags):
        case Fate.LIVES:
            number = process.number if process else ""
            return f"It is running. To stop it: `kill {number}`; committed rows are kept"
        case Fate.GONE:
            return "It was killed; its slot becomes free within seconds"
        case Fate.UNSEEN:
            return f"Check on its host whether it is alive. If it is not: {ending}"
        case Fate.UNNAMED:
            return (
                "End it in the UI (Runs). If no server is running, the next `make ui` ends and retries it, or"
                f" {ending} ends it"
            )


def release_command() -> str:
    """The command that frees a dead run's slot."""
    return f".venv/bin/python -m jobs.release {os.environ.get('PRECEPTOR_STUDY', 'STUDY')}"


@contextmanager
def watched(instance: dg.DagsterInstance) -> Iterator[None]:
    """While steps run in this process and its workers: free slots of dead runs, print what steps wait for."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(instance, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(instance: dg.DagsterInstance, done: threading.Event) -> None:
    """Print a wait only at the second look that finds it, since most take seconds; then every ten minutes."""
    before, looks = "", 0
    while not done.wait(SECONDS_BETWEEN_LOOKS):
        try:
            ended, waiting = release_dead_runs(instance), waits(instance)
        except Exception:  # the home cannot be read; the step itself reports that
            continue
        for sentence in ended:
            print(f"    {sentence}", flush=True)
        looks = looks + 1 if waiting == before else 0
        if waiting and looks % LOOKS_BETWEEN_REPORTS == 1:
            print(waiting, flush=True)
        before = waiting


def waits(instance: dg.DagsterInstance) -> str:
    """The runs that a step of this process waits for, one per line; empty if none waits."""
    return "\n".join(f"    waits for {sentence}" for sentence in held(instance)) if _waits(instance) else ""


def _waits(instance: dg.DagsterInstance) -> bool:
    """Whether a step of this process or its workers waits for a slot that another process holds."""
    storage = instance.event_log_storage
    pools = storage.get_concurrency_infos(sorted(storage.get_concurrency_keys())).values()
    waiting = {
        step.run_id for pool in pools for step in pool.pending_steps if step.assigned_timestamp is None
    }
    return any(_ours(instance, run_id) for run_id in waiting) and not all(
        _ours(instance, run_id) for run_id in holders(instance)
    )


def _ours(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    process = process_of(run.tags) if run else None
    workers = {str(worker.pid) for worker in multiprocessing.active_children()}
    return (
        run is not None
        and process is not None
        and fate(run.tags) == Fate.LIVES
        and process.number in {str(os.getpid()), *workers}
    )
