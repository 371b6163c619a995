"""Facts about a kind of evaluation that the study needs without importing heavy libraries."""

from collections.abc import Set
from typing import ClassVar

from preceptor.study.judges import ClassifierJudge


class EvaluationFacts:
    """The defaults fit an evaluation whose metric is a share of right answers; other kinds override them.

    Every kind also has a `name`, a `kind` and a `metric`, the name of its main metric. `is_share` means that
    the main metric is from 0 to 1, so that averages can include it. `file_fields` names the fields that only
    give the location of files on this machine; fingerprints cover the files' contents instead.
    """

    higher_is_better: ClassVar[bool] = True
    is_share: ClassVar[bool] = True
    file_fields: ClassVar[Set[str]] = frozenset({"path"})

    @property
    def metric_without_files(self) -> str | None:
        """The main metric if the files that the usual one needs are missing; None if it needs no files."""
        return None

    @property
    def local_judge(self) -> ClassifierJudge | None:
        """The judge whose weights are loaded on this machine, if any."""
        return None

    @property
    def pairwise_judge(self) -> str | None:
        """The name of the judge that compares each answer with the reference's, if any."""
        return None
