"""`python -m jobs.synchronise`: make the instance's partitions those of the study in PRECEPTOR_STUDY."""

import os
import sys

from jobs.instance import open_instance, synchronise
from preceptor.study.load import StudyError, load_study


def main() -> None:
    """Print what changed; end with status 2 where the study cannot be used."""
    try:
        study = load_study(os.environ.get("PRECEPTOR_STUDY", ""))
    except StudyError as error:
        sys.exit(str(error))
    for change in synchronise(open_instance(study), study) or ["partitions are as the study says"]:
        print(f"{study.name}: {change}")


if __name__ == "__main__":
    main()
