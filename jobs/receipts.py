"""Receipts: records in Dagster's home by which the next `make study` finds that a step is unchanged."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dagster as dg

from jobs.steps import Step
from preceptor.lake.store import Lake, store_root
from preceptor.study.schema import Study
from preceptor.unchanged.receipt import receipt_path
from preceptor.unchanged.state import Inputs, State, inputs_of, state_of
from preceptor.unchanged.tables import LiveTables

DIMENSIONS = {"responses": "teacher", "selected_subset": "recipe", "tuned_checkpoint": "run"}


@cache
def _tables(root: str, study: str) -> LiveTables:
    return LiveTables(Lake(root, study))


def live_tables(study: Study) -> LiveTables:
    """The study's tables, as this process last read them."""
    return _tables(store_root(), study.name)


def present_state(study: Study, step: Step) -> State | None:
    """The step's state; None if it is unknown."""
    return state_of(study, step.asset, _names(step), live_tables(study))


def fresh_state(study: Study, step: Step, published: int | None) -> State | None:
    """The state, read from disk again; None if another process replaced the rows that the step published."""
    tables = live_tables(study)
    tables.forget()
    return state_of(study, step.asset, _names(step), tables, published)


def fresh_inputs(study: Study, step: Step) -> Inputs | None:
    """The step's inputs, read from disk again; None if they are unknown."""
    tables = live_tables(study)
    tables.forget()
    return inputs_of(study, step.asset, _names(step), tables)


def _names(step: Step) -> dict[str, str]:
    """The step's partition by dimension."""
    match step.key:
        case None:
            return {}
        case dg.MultiPartitionKey():
            return dict(step.key.keys_by_dimension)
        case _:
            return {DIMENSIONS[step.asset]: step.key}


def place_of(step: Step, instance: dg.DagsterInstance) -> Path:
    """The path of the step's receipt."""
    return receipt_path(Path(instance.root_directory), *step.place)


class Heard(logging.Handler):
    """Records whether preceptor/ logged a warning. No check repeats it, so the step runs again next time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warned = False

    def emit(self, _: logging.LogRecord) -> None:
        """Record the warning."""
        self.warned = True


@contextmanager
def listening() -> Iterator[Heard]:
    """Record warnings that are logged in the meantime."""
    heard, logger = Heard(), logging.getLogger("preceptor")
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)
