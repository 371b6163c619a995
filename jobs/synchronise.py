"""`python -m jobs.synchronise`: make the instance's partitions those of the study in PRECEPTOR_STUDY."""

import sys

from jobs.home import HomeError, open_instance, told
from jobs.instance import synchronise
from preceptor.study.load import StudyError, read_study, study_path


def main() -> None:
    """Print what changed; end with status 2 where the study cannot be used."""
    try:
        read = read_study(study_path())
        instance = open_instance(read.study)
        with told(instance.root_directory):
            changes = synchronise(instance, read)
    except (StudyError, HomeError) as error:
        sys.exit(str(error))
    for sentence in [*read.left_out, *changes] or ["partitions are as the study says"]:
        print(f"{read.study.name}: {sentence}")


if __name__ == "__main__":
    main()
