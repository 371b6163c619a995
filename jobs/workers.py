"""Run the partitions of one asset in parallel worker processes."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

import dagster as dg

from jobs.home import told
from jobs.materialize import Result, materialize, show_progress
from jobs.processes import after_a_step, end_with_parent
from jobs.steps import Step

POOL = "gpu"


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes that end with this one. Steps that have not begun are cancelled."""
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def side_by_side(pool: ProcessPoolExecutor, steps: Iterable[Step]) -> Iterator[Result]:
    """Results in order of completion."""
    for future in as_completed([pool.submit(_one, step) for step in steps]):
        yield future.result()


@contextmanager
def allowed_at_once(instance: dg.DagsterInstance, count: int) -> Iterator[None]:
    """Let `count` steps of the GPU pool run at once; afterwards restore the limit in dagster.yaml."""
    _set_slots(instance, count)
    try:
        yield
    finally:
        usual_slots(instance)


def usual_slots(instance: dg.DagsterInstance) -> None:
    """Set the limit of the GPU pool to the one in dagster.yaml.

    A killed `make study` leaves its number of processes as the limit. Once a pool's limit was set, Dagster
    ignores the file for that pool.
    """
    _set_slots(instance, instance.global_op_concurrency_default_limit or 1)


def _set_slots(instance: dg.DagsterInstance, count: int) -> None:
    with told(instance.root_directory):
        instance.event_log_storage.set_concurrency_slots(POOL, count)


def _begin() -> None:
    show_progress()
    end_with_parent()


def _one(step: Step) -> Result:
    with told(os.environ["DAGSTER_HOME"]):
        instance = dg.DagsterInstance.get()
    result = materialize(step, instance)
    after_a_step()
    return result
