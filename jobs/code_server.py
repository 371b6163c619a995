"""`python -m jobs.code_server`: a deployment's code location, for a webserver and a daemon elsewhere.

Runs are processes below it. When it starts none can be alive, so it ends those that died with its
predecessor: nobody else would notice, and they would hold their slots for ever.
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

# A daemon starts a failed run again at once or never: it must have found the new server before. It looks
# every five seconds; no multiple of that, so that reports do not fall into the same moment of its round.
SECONDS_TO_BE_FOUND = 12.0
REPORTS = 3
STORAGE_ATTEMPTS = 2  # processes that make Dagster's tables at the same moment can meet


def main() -> None:
    """Put the instance in order and serve, until SIGTERM or until Dagster's code server ends."""
    parser = argparse.ArgumentParser(description="Serve the study in PRECEPTOR_STUDY as a code location.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("--location", default="preceptor", help="its name in workspace.yaml")
    options = parser.parse_args()
    if _answers(options.host, options.port):
        sys.exit(f"port {options.port} is in use: stop what serves there, or give another --port")
    with _instance() as instance:
        dead = runs_of(instance, options.location)
        _synchronise(instance)
        server = _start(options.host, options.port)
        while server.poll() is None and not _answers(options.host, options.port):
            time.sleep(0.5)
        for run in dead:
            print(f"run {run.run_id} died with the last code server", flush=True)
        for _ in range(REPORTS):
            if not dead or server.poll() is not None:
                break
            time.sleep(SECONDS_TO_BE_FOUND)
            dead = end(instance, dead)
    sys.exit(server.wait())


def end(instance: dg.DagsterInstance, dead: Sequence[dg.DagsterRun]) -> list[dg.DagsterRun]:
    """End the runs that go on in the books only; returns them.

    Those that the daemon should have started again since an earlier call, and has not, are ended once more:
    it reads the event of a failure once, and forgets the run where it does so before Dagster has written
    what becomes of it.
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
        except Exception as error:  # each storage has its own
            reason = str(error.__cause__ or error).strip()
            time.sleep(1)
    file = Path(os.environ.get("DAGSTER_HOME", ""), "dagster.yaml")
    sys.exit(f"Dagster's storage, as {file} says it, cannot be used: {reason}")


def _synchronise(instance: dg.DagsterInstance) -> None:
    """A broken study is said here and in the UI, where the location can be reloaded once it is mended."""
    try:
        read = read_study(study_path())
    except StudyError as error:
        print(error, flush=True)
        return
    for sentence in [*read.left_out, *synchronise(instance, read)]:
        print(f"{read.study.name}: {sentence}", flush=True)


if __name__ == "__main__":
    main()
