"""`python -m jobs.code_server`: a deployment's code location, for a webserver and a daemon elsewhere.

Runs are child processes of this server. When it starts, no earlier run can be alive, so it marks those that
died with the previous server as failed. Nothing else would notice, and they would hold their slots forever.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from jobs.home import CHECKOUT
from jobs.instance import release, runs_of, synchronise, unfinished
from preceptor.study.load import StudyError, read_study, study_path

# A daemon retries a failed run only when it first sees the failure, so it must have found the new server by
# then. It looks every five seconds. No multiple of five: reports should not hit the same moment of its loop.
SECONDS_TO_BE_FOUND = 12.0
REPORTS = 3
STORAGE_ATTEMPTS = 2  # the first fails if another process creates Dagster's tables at the same moment


def main() -> None:
    """Fail dead runs, update partitions, and serve until SIGTERM or until Dagster's code server ends."""
    parser = argparse.ArgumentParser(description="Serve the study in PRECEPTOR_STUDY as a code location.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("--location", default="preceptor", help="the location's name in workspace.yaml")
    options = parser.parse_args()
    if _answers(options.host, options.port):
        sys.exit(f"port {options.port} is in use: stop that server, or set another --port")
    with _instance() as instance:
        dead = runs_of(instance, options.location)
        _synchronise(instance)
        server = _start(options.host, options.port)
        while server.poll() is None and not _answers(options.host, options.port):
            time.sleep(0.5)
        for run in dead:
            print(f"run {run.run_id} died with the previous code server", flush=True)
        for _ in range(REPORTS):
            if not dead or server.poll() is not None:
                break
            time.sleep(SECONDS_TO_BE_FOUND)
            dead = end(instance, dead)
    sys.exit(server.wait())


def end(instance: dg.DagsterInstance, dead: Sequence[dg.DagsterRun]) -> list[dg.DagsterRun]:
    """Mark dead runs as failed; returns those that were not settled yet.

    If the daemon should have retried a run since an earlier call and did not, the run is marked again. The
    daemon reads each failure once, and forgets the run if Dagster has not yet written whether to retry it.
    """
    unsettled = [run for run in dead if unfinished(instance, run.run_id)]
    for run in unsettled:
        release(instance, run)
    return unsettled


def _start(host: str, port: int) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("dagster")
    address = ["--host", host, "--port", str(port)]
    code = ["--python-file", CHECKOUT / "definitions.py", "--working-directory", CHECKOUT]
    server = subprocess.Popen([program, "code-server", "start", *address, *code])
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: server.terminate())
    return server


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _instance() -> dg.DagsterInstance:
    for _ in range(STORAGE_ATTEMPTS):
        try:
            return dg.DagsterInstance.get()
        except Exception as error:  # each storage raises its own class
            reason = str(error.__cause__ or error).strip()
            time.sleep(1)
    file = Path(os.environ.get("DAGSTER_HOME", ""), "dagster.yaml")
    sys.exit(f"cannot use Dagster's storage, which {file} configures: {reason}")


def _synchronise(instance: dg.DagsterInstance) -> None:
    """Update the partitions. A broken study is only printed: the UI shows it too, and can reload it."""
    try:
        read = read_study(study_path())
    except StudyError as error:
        print(error, flush=True)
        return
    for sentence in [*read.left_out, *synchronise(instance, read)]:
        print(f"{read.study.name}: {sentence}", flush=True)


if __name__ == "__main__":
    main()
