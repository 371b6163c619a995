"""Untuned bases as runs of evaluations, so that a student can be compared with its base.

Their names are reserved: no run of a study may use one (references.py).
"""

from preceptor.study.schema import Study

PREFIX = "untuned-"


def untuned_name(base: str) -> str:
    """The name of an untuned base among the runs of evaluations."""
    return f"{PREFIX}{base}"


def untuned_runs(study: Study) -> dict[str, str]:
    """The base of every untuned run, in the study's order. Empty if the study has no evaluations.

    Only bases with runs are evaluated, because others have no student to compare with.
    """
    tuned = {run.base for run in study.runs}
    return {
        untuned_name(base.name): base.name for base in study.bases if base.name in tuned and study.evaluations
    }


def evaluated_runs(study: Study) -> dict[str, str]:
    """The base of every run that is evaluated: the study's runs, then the untuned bases."""
    return {run.name: run.base for run in study.runs} | untuned_runs(study)
