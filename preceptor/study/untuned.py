"""The untuned bases as runs of their own: what a student is worth shows beside what its base could do before.

Their names are reserved: no run of a study may have one (validate.py).
"""

from preceptor.study.schema import Study

PREFIX = "untuned-"


def untuned_name(base: str) -> str:
    """The name under which an untuned base stands among the runs of evaluations."""
    return f"{PREFIX}{base}"


def untuned_runs(study: Study) -> dict[str, str]:
    """The base of every untuned run, in the study's order: each base with runs, where there are evaluations.

    A base without runs has no student to stand beside.
    """
    tuned = {run.base for run in study.runs}
    return {
        untuned_name(base.name): base.name for base in study.bases if base.name in tuned and study.evaluations
    }


def evaluated_runs(study: Study) -> dict[str, str]:
    """The base of every run that is evaluated: the study's own runs, then the untuned ones."""
    return {run.name: run.base for run in study.runs} | untuned_runs(study)
