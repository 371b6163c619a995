"""`python -m jobs.synchronise`: make the instance's partitions those of the study in PRECEPTOR_STUDY."""

import sys

from jobs.home import HomeError, open_instance
from jobs.instance import synchronise
from preceptor.study.load import StudyError, read_study, study_path


def main() -> None:
    """Print what changed; end with status 2 where the study cannot be used."""
    try:
        read = read_study(study_path())
        changes = synchronise(open_instance(read.study), read)
    except (StudyError, HomeError) as error:
        sys.exit(str(error))
    for sentence in [*read.left_out, *changes] or ["partitions are as the study says"]:
        print(f"{read.study.name}: {sentence}")


if __name__ == "__main__":
    main()
