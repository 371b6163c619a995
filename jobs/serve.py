"""`python -m jobs.serve`: synchronise partitions, then Dagster's webserver and daemon for PRECEPTOR_STUDY."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from jobs.instance import CHECKOUT, open_instance, synchronise
from preceptor.study.load import StudyError, load_study


def main() -> None:
    """Serve until Ctrl-C or SIGTERM, or until one of the two processes ends."""
    parser = argparse.ArgumentParser(description="Serve Dagster's UI for the study in PRECEPTOR_STUDY.")
    parser.add_argument("--port", default="3000")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    try:
        study = load_study(os.environ.get("PRECEPTOR_STUDY", ""))
    except StudyError as error:
        sys.exit(str(error))
    for change in synchronise(open_instance(study), study):
        print(f"{study.name}: {change}")
    print(f"{study.name}: http://{options.host}:{options.port} (Ctrl-C stops it)", flush=True)
    sys.exit(_serve(["--host", options.host, "--port", options.port]))


def _serve(address: list[str]) -> int:
    programs = Path(sys.executable).parent
    workspace = ["--workspace", str(CHECKOUT / "workspace.yaml")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    children = [
        subprocess.Popen([programs / "dagster-daemon", "run", *workspace], cwd=CHECKOUT),
        subprocess.Popen([programs / "dagster-webserver", *workspace, *address], cwd=CHECKOUT),
    ]
    try:
        _, status = os.wait()
        return os.waitstatus_to_exitcode(status)
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


if __name__ == "__main__":
    main()
