"""`python -m jobs.serve`: synchronise partitions, then Dagster's UI and daemon for PRECEPTOR_STUDY."""

import argparse
import os
import sys
from pathlib import Path

from jobs.instance import CHECKOUT, open_instance, synchronise
from preceptor.study.load import StudyError, load_study


def main() -> None:
    """Replace this process by `dagster dev`, so that Ctrl-C reaches it."""
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
    dagster = str(Path(sys.executable).parent / "dagster")
    arguments = ["dev", "--workspace", str(CHECKOUT / "workspace.yaml")]
    os.execv(dagster, [dagster, *arguments, "--host", options.host, "--port", options.port])


if __name__ == "__main__":
    main()
