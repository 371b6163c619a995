"""`python -m jobs.synchronise`: make the instance's partitions those of the study in PRECEPTOR_STUDY."""

import os
import sys

from jobs.instance import open_instance, synchronise
from preceptor.study.load import StudyError, read_study


def main() -> None:
    """Print what changed; end with status 2 where the study cannot be used."""
    try:
        read = read_study(os.environ.get("PRECEPTOR_STUDY", ""))
    except StudyError as error:
        sys.exit(str(error))
    changes = synchronise(open_instance(read.study), read)
    for sentence in [*read.left_out, *changes] or ["partitions are as the study says"]:
        print(f"{read.study.name}: {sentence}")


if __name__ == "__main__":
    main()
