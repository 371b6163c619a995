"""What a process of many steps does between two of them."""

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
    """Holds itself, as a model's modules hold one another."""

    def __init__(self):
        self.own = self


def test_what_a_later_step_leaves_is_found_and_what_was_there_is_not_searched():
    try:
        before = weakref.ref(Model())
        after_a_step()
        assert before() is None  # garbage of the step goes before the rest is set aside
        assert gc.get_freeze_count() > 100_000
        assert len(gc.get_objects()) < gc.get_freeze_count() / 10
        later = weakref.ref(Model())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()


def test_at_the_end_everything_is_searched_as_libraries_expect():
    ended = subprocess.run([sys.executable, "-c", USES_A_LIBRARY_THAT_COUNTS], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")  # else: nanobind: leaked …
