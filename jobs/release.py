"""`python -m jobs.release STUDY [RUN …]`: list the runs under way, or end some and free their slots.

Use it for runs whose process was killed on another host, or in a container that was removed.
"""

import argparse
import os
import sys

import dagster as dg

from jobs.home import HomeError, open_instance
from jobs.instance import GOING, UNSETTLED, release
from jobs.processes import Fate, fate, process_of
from jobs.slots import advice, who
from preceptor.study.load import StudyError, load_study

BY_HAND = "jobs.release was told that its process is gone"


def main() -> None:
    """List the runs under way, or end the given ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="the study's YAML file")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="the first characters of a run's id")
    options = parser.parse_args()
    os.environ["PRECEPTOR_STUDY"] = options.study
    try:
        instance = open_instance(load_study(options.study))
    except (StudyError, HomeError) as error:
        sys.exit(str(error))
    under_way = instance.get_runs(dg.RunsFilter(statuses=[*GOING, *UNSETTLED]))
    if not options.runs:
        for run in under_way:
            print(f"{who(instance, run)}. {advice(run)}")
        count = "1 run is" if len(under_way) == 1 else f"{len(under_way)} runs are"
        print(f"{count} under way ({instance.root_directory})")
        return
    chosen = [_chosen(under_way, number) for number in options.runs]
    for run in chosen:
        release(instance, run, BY_HAND)
        print(f"ended: {who(instance, run)}")


def _chosen(under_way: list[dg.DagsterRun], number: str) -> dg.DagsterRun:
    found = [run for run in under_way if run.run_id.startswith(number)]
    if len(found) != 1:
        sys.exit(
            f"{number} matches {len(found)} of the {len(under_way)} runs under way, not one; no run was ended"
        )
    process = process_of(found[0].tags)
    if process is not None and fate(found[0].tags) == Fate.LIVES:
        sys.exit(f"{number}: its process {process.number} is alive: stop it first; no run was ended")
    return found[0]


if __name__ == "__main__":
    main()
