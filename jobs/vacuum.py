"""`python -m jobs.vacuum STUDY`: the data files of the lake that nothing needs; --delete removes them."""

import argparse
import os
import sys

from preceptor.lake.store import Lake, LakeError
from preceptor.lake.vacuum import vacuum
from preceptor.study.load import StudyError, load_study


def main() -> None:
    """List what could go, or remove it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="the study's YAML file")
    parser.add_argument(
        "--days", type=int, default=7, help="keep what was needed so recently: longer than your longest run"
    )
    parser.add_argument("--delete", action="store_true", help="remove the files that are listed")
    options = parser.parse_args()
    if options.days < 1:
        parser.error("--days must be at least 1: a run may still be writing or reading what is newer")
    try:
        study = load_study(options.study)
        lake = Lake(os.environ.get("PRECEPTOR_STORE", "store"), study.name)
        removals = vacuum(lake, options.days * 24, dry_run=not options.delete)
    except (StudyError, LakeError) as error:
        sys.exit(str(error))
    for removal in removals:
        print(f"{removal.table}: {len(removal.files):,} files, {removal.bytes / 1e6:,.1f} MB")
    verb = "removed" if options.delete else "could be removed: repeat with --delete"
    print(f"{sum(len(removal.files) for removal in removals):,} files {verb} ({lake.home})")


if __name__ == "__main__":
    main()
