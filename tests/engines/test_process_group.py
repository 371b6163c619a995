"""Ending a process group kills its members at once, but gives resource trackers time to clean up."""

import subprocess
import sys

from preceptor.engines.process_group import end_group
from tests.engines.processes import gone

TRACKER = "import pathlib, sys, time; sys.stdin.read(); time.sleep(5); pathlib.Path(sys.argv[1]).touch()"
# Only the tracker's command line may contain "resource_tracker". The test's name is part of tmp_path.
LEADER = """
import subprocess, sys, time
command = [sys.executable, "-c", *sys.argv[1:], "resource_" + "tracker"]
tracker = subprocess.Popen(command, stdin=subprocess.PIPE)
print("started", flush=True)
time.sleep(600)
"""


def test_a_slow_tracker_on_a_busy_machine_ends_by_itself(tmp_path):
    command = [sys.executable, "-c", LEADER, TRACKER, str(tmp_path / "freed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout.readline() == b"started\n"
        end_group(leader.pid)
    assert (tmp_path / "freed").exists()
    assert gone(leader.pid)
