"""What the rest of a study needs to know of a kind of evaluation, before anything heavy is loaded."""

from collections.abc import Set
from typing import ClassVar

from preceptor.study.judges import ClassifierJudge


class EvaluationFacts:
    """The facts of a kind that a share of right answers has; another kind states what differs.

    Every kind also has a `name`, a `kind` and a `metric`: the name of its main metric. `is_share`: the main
    metric runs from 0 to 1, so that averages may hold it. `file_fields` name the fields that only say where
    files lie on this machine; fingerprints cover what is in the files instead.
    """

    higher_is_better: ClassVar[bool] = True
    is_share: ClassVar[bool] = True
    file_fields: ClassVar[Set[str]] = frozenset({"path"})

    @property
    def metric_without_files(self) -> str | None:
        """The main metric where the files that the usual one needs are lacking; None where it needs none."""
        return None

    @property
    def local_judge(self) -> ClassifierJudge | None:
        """The judge whose weights are loaded on this machine, if there is one."""
        return None

    @property
    def pairwise_judge(self) -> str | None:
        """The name of the judge that compares each answer with a reference's, if there is one."""
        return None
