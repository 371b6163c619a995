"""Garbage collection between the steps of one process."""

import gc
import subprocess
import sys
import weakref

from jobs.processes import after_a_step

USES_A_LIBRARY_THAT_COUNTS = """
import duckdb
from jobs.processes import after_a_step
session = duckdb.connect()
session.sql("select 1").fetchall()
after_a_step()
after_a_step()
"""


class Model:
    """A reference cycle, as among a model's modules."""

    def __init__(self):
        self.own = self


def test_a_steps_garbage_is_collected_and_earlier_objects_are_not_scanned():
    try:
        before = weakref.ref(Model())
        after_a_step()
        assert before() is None  # the step's garbage is collected before the rest is frozen
        assert gc.get_freeze_count() > 100_000
        assert len(gc.get_objects()) < gc.get_freeze_count() / 10
        later = weakref.ref(Model())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()


def test_at_exit_all_objects_are_scanned_as_libraries_expect():
    ended = subprocess.run([sys.executable, "-c", USES_A_LIBRARY_THAT_COUNTS], capture_output=True, text=True)
    # Otherwise nanobind prints "leaked …".
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
