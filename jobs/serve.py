"""`python -m jobs.serve`: update partitions, then serve Dagster's UI and daemon for PRECEPTOR_STUDY."""

import argparse
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import dagster as dg

from jobs.home import CHECKOUT, HomeError, open_instance, told
from jobs.instance import release_dead_runs, release_served_runs, synchronise
from jobs.report_page import serve_report
from jobs.slots import held
from jobs.workers import usual_slots
from preceptor.alerts.webhook import VARIABLE as WEBHOOK
from preceptor.engines.process_group import end_group
from preceptor.lake.schemas import RAW_INSTRUCTIONS
from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.study.load import StudyError, read_study, study_path

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SECONDS_TO_END = 10.0
FIRST_STEP = (
    "nothing is computed yet. Materialize `raw_instructions` in the UI: every asset up to the ranking and its"
    " report then runs automatically. Start tuning yourself"
)
SIGNAL_ON_PARENTS_DEATH = 1  # Linux calls it PR_SET_PDEATHSIG


def main() -> None:
    """Serve until Ctrl-C or SIGTERM, or until one of the two processes ends."""
    parser = argparse.ArgumentParser(description="Serve Dagster's UI for the study in PRECEPTOR_STUDY.")
    parser.add_argument("--port", type=int, default=3000, help="the UI's port; the report uses the next")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    try:
        read = read_study(study_path())
        lake = Lake(store_root(), read.study.name)
        lake.uri(RAW_INSTRUCTIONS)  # raises if the store cannot hold tables
    except (StudyError, LakeError) as error:
        sys.exit(str(error))
    report_port = options.port and options.port + 1  # 0 means any free port
    _refuse_used(options.host, options.port, report_port)
    try:
        instance = open_instance(read.study)
        with told(instance.root_directory):
            lock = _alone(instance)
            changes = synchronise(instance, read)
            ended = [*release_dead_runs(instance), *release_served_runs(instance)]
            usual_slots(instance)
            news = [*read.left_out, *changes, *ended, *held(instance)]
    except HomeError as error:
        sys.exit(str(error))
    with lock, serve_report(lake, options.host, report_port) as addresses:
        os.environ["PRECEPTOR_REPORT_URL"] = addresses.report
        os.environ["PRECEPTOR_RANKING_URL"] = addresses.ranking
        for sentence in news:
            print(f"{read.study.name}: {sentence}")
        if lake.version(RAW_INSTRUCTIONS) is None:
            print(f"{read.study.name}: {FIRST_STEP}")
        channels = "log and webhook" if os.environ.get(WEBHOOK) else f"log ({WEBHOOK} is not set)"
        print(f"{read.study.name}: report {addresses.report}; alerts go to the {channels}")
        print(f"{read.study.name}: http://{options.host}:{options.port} (Ctrl-C stops it)", flush=True)
        status = _serve(["--host", options.host, "--port", str(options.port)], lock.fileno())
        release_served_runs(instance)
    sys.exit(status)


def _alone(instance: dg.DagsterInstance) -> IO[str]:
    """Lock the home: two daemons would start every run twice. Child processes hold the lock too."""
    home = Path(instance.root_directory)
    lock = (home / "serve.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{home} is already served: use that server, stop it, or set another DAGSTER_HOME")
    return lock


def _refuse_used(host: str, *ports: int) -> None:
    """Exit if a port is in use. Dagster would report it only after half a minute, in a traceback."""
    for port in ports:
        try:
            socket.create_server((host, port)).close()
        except OSError as error:
            sys.exit(
                f"port {port} of {host} cannot be used ({error.strerror}): set another: make ui PORT=3100"
            )


def _serve(address: list[str], lock: int) -> int:
    """Run both programs, each in its process group, so that their code servers and runs end with them."""
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
    """Start a program that gets SIGTERM when this process ends, even if it is killed."""
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
