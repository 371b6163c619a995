"""`python -m jobs.vacuum STUDY`: list data files of the lake that nothing needs; --delete removes them."""

import argparse
import sys

from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.lake.vacuum import vacuum
from preceptor.study.load import StudyError, load_study


def main() -> None:
    """List the files that can be removed, or remove them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="the study's YAML file")
    parser.add_argument(
        "--days",
        type=int,
        default=7,
        help="keep files needed within this many days: at least 1, and longer than your longest run",
    )
    parser.add_argument("--delete", action="store_true", help="remove the listed files")
    options = parser.parse_args()
    if options.days < 1:
        parser.error("--days must be at least 1: a run may still be writing or reading newer files")
    try:
        study = load_study(options.study)
        lake = Lake(store_root(), study.name)
        removals = vacuum(lake, options.days * 24, dry_run=not options.delete)
    except (StudyError, LakeError) as error:
        sys.exit(str(error))
    for removal in removals:
        print(f"{removal.table}: {len(removal.files):,} files, {removal.bytes / 1e6:,.1f} MB")
    files = sum(len(removal.files) for removal in removals)
    again = ": repeat with --delete" if files and not options.delete else ""
    print(f"{files:,} files {'removed' if options.delete else 'can be removed'} ({lake.home}){again}")


if __name__ == "__main__":
    main()
