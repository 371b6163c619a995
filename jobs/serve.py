"""`python -m jobs.serve`: synchronise partitions, then Dagster's webserver and daemon for PRECEPTOR_STUDY."""

import argparse
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from jobs.instance import CHECKOUT, open_instance, release_served_runs, synchronise
from preceptor.engines.process_group import end_group
from preceptor.study.load import StudyError, read_study

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SECONDS_TO_END = 10.0
SIGNAL_ON_PARENTS_DEATH = 1  # Linux calls it PR_SET_PDEATHSIG


def main() -> None:
    """Serve until Ctrl-C or SIGTERM, or until one of the two processes ends."""
    parser = argparse.ArgumentParser(description="Serve Dagster's UI for the study in PRECEPTOR_STUDY.")
    parser.add_argument("--port", default="3000")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    try:
        read = read_study(os.environ.get("PRECEPTOR_STUDY", ""))
    except StudyError as error:
        sys.exit(str(error))
    instance = open_instance(read.study)
    with _alone(instance) as lock:
        for sentence in [*read.left_out, *synchronise(instance, read), *release_served_runs(instance)]:
            print(f"{read.study.name}: {sentence}")
        print(f"{read.study.name}: http://{options.host}:{options.port} (Ctrl-C stops it)", flush=True)
        status = _serve(["--host", options.host, "--port", options.port], lock)
        release_served_runs(instance)
    sys.exit(status)


@contextmanager
def _alone(instance: dg.DagsterInstance) -> Iterator[int]:
    """One server per home: two daemons would start every run twice. Yields what its children hold on to."""
    home = Path(instance.root_directory)
    with (home / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"{home} is served already: use that server, or stop it, or set another DAGSTER_HOME")
        yield lock.fileno()


def _serve(address: list[str], lock: int) -> int:
    """Run both programs, each in a process group, so that no code server or run of theirs is left behind."""
    programs = Path(sys.executable).parent
    workspace = ["--workspace", str(CHECKOUT / "workspace.yaml")]
    for ending in ENDING:
        signal.signal(ending, lambda *_: sys.exit(0))
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in (["dagster-daemon", "run", *workspace], ["dagster-webserver", *workspace, *address]):
            program = [programs / command[0], *command[1:]]
            children.append(_started(program, lock))
        _, status = os.wait()
        return os.waitstatus_to_exitcode(status)
    except SystemExit:
        return 0
    finally:
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        _end(children)


def _started(program: list[str | Path], lock: int) -> subprocess.Popen[bytes]:
    """A program that is asked to end when this process is gone, be it killed."""
    prctl = ctypes.CDLL(None).prctl
    return subprocess.Popen(
        program,
        cwd=CHECKOUT,
        start_new_session=True,
        pass_fds=[lock],
        preexec_fn=lambda: prctl(SIGNAL_ON_PARENTS_DEATH, signal.SIGTERM),
    )


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    end = time.monotonic() + SECONDS_TO_END
    while time.monotonic() < end and any(child.poll() is None for child in children):
        time.sleep(0.1)
    for child in children:
        end_group(child.pid)
        child.wait()


if __name__ == "__main__":
    main()
