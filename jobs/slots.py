"""Who holds the slot that a step waits for, in words, and what to do about it."""

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
LOOKS_BETWEEN_REPORTS = 120  # ten minutes: nobody need scroll back to know why nothing happens


def held(instance: dg.DagsterInstance) -> list[str]:
    """A sentence for each run that holds a slot: what it makes, where, since when, and how to end it."""
    runs = [run for run in map(instance.get_run_by_id, holders(instance)) if run is not None]
    return [f"{who(instance, run)}. {advice(run)}" for run in runs]


def who(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What a run makes, in which process, on which host, and since when."""
    record = instance.get_run_record_by_id(run.run_id)
    began = record and (record.start_time or record.create_timestamp.timestamp())
    since = f", since {datetime.fromtimestamp(began, UTC):%Y-%m-%d %H:%M} UTC" if began else ""
    process = process_of(run.tags)
    place = f"process {process.number} on {process.host}" if process else "Dagster's server"
    return f"run {run.run_id[:8]} ({subject(run)}) of {place}{since}"


def advice(run: dg.DagsterRun) -> str:
    """What somebody can do who does not want to wait for a run."""
    ending = f"`{release_command()} {run.run_id[:8]}`"
    process = process_of(run.tags)
    match fate(run.tags):
        case Fate.LIVES:
            number = process.number if process else ""
            return f"It is at work. To stop it: `kill {number}`; what it committed stays"
        case Fate.GONE:
            return "It was killed; its slot is given back within seconds"
        case Fate.UNSEEN:
            return f"Whether it lives can be seen on its host only. Where it does not: {ending}"
        case Fate.UNNAMED:
            return (
                "End it in the UI (Runs). Where no server is left, the next `make ui` ends it and starts it"
                f" again, or {ending} ends it"
            )


def release_command() -> str:
    """The command that gives a dead run's slot back."""
    return f".venv/bin/python -m jobs.release {os.environ.get('PRECEPTOR_STUDY', 'STUDY')}"


@contextmanager
def watched(instance: dg.DagsterInstance) -> Iterator[None]:
    """While this process and its workers run steps: free the slots of the dead, say who is waited for."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(instance, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(instance: dg.DagsterInstance, done: threading.Event) -> None:
    """Say it at the second look that finds the same: most waits are a matter of seconds."""
    before, looks = "", 0
    while not done.wait(SECONDS_BETWEEN_LOOKS):
        try:
            ended, waiting = release_dead_runs(instance), waits(instance)
        except Exception:  # a home that cannot be read: the step itself meets it, and says so
            continue
        for sentence in ended:
            print(f"    {sentence}", flush=True)
        looks = looks + 1 if waiting == before else 0
        if waiting and looks % LOOKS_BETWEEN_REPORTS == 1:
            print(waiting, flush=True)
        before = waiting


def waits(instance: dg.DagsterInstance) -> str:
    """Whom a step of this process waits for, one a line; nothing where none waits."""
    return "\n".join(f"    waits for {sentence}" for sentence in held(instance)) if _waits(instance) else ""


def _waits(instance: dg.DagsterInstance) -> bool:
    """Whether a step of this process, or of a worker of it, waits for a slot that others hold."""
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
