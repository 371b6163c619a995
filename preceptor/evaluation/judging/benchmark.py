"""The common steps of benchmarks with a judge: answer, judge, decide."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from preceptor.evaluation.items import Item
from preceptor.evaluation.job import Declared, EvaluationJob, ScoredItems
from preceptor.evaluation.judging.ask import cases
from preceptor.evaluation.judging.decisions import decided_rows
from preceptor.evaluation.judging.judge import Protocol, judge_cases, judgments_fingerprint
from preceptor.evaluation.responses import Asked, answer_items, answers_fingerprint
from preceptor.evaluation.results import publish_results, results_fingerprint
from preceptor.study.evaluation import ArenaHard, Grades, Pairwise


@dataclass(frozen=True)
class Judged:
    """A benchmark, its judge's protocol, and the hashes of its files.

    `rules` adds to the results' fingerprint how verdicts become outcomes.
    """

    evaluation: Pairwise | ArenaHard | Grades
    protocol: Protocol
    files: dict[str, Any]
    rules: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self, checkpoint: str) -> str:
        """Changes with the answers, their number, the files, and the judge."""
        answers = answers_fingerprint(checkpoint, self._asked)
        parts = {"judge": self._judgments(checkpoint), "answers": answers, "n": self._asked.sampling.n}
        return results_fingerprint(self.evaluation, checkpoint, {**parts, **self.files, **self.rules})

    def score_items(
        self, job: EvaluationJob[Declared], items: Sequence[Item], one_order: bool = False
    ) -> ScoredItems:
        """Answer the items, judge each answer, and decide (for `one_order` see decisions.py).

        Raises EndpointError if the judge's endpoint answers no request.
        """
        checkpoint = job.checkpoint.fingerprint
        answers = answer_items(job, items, self._asked).rows
        asked = cases(items, answers.to_dicts())
        judgments = judge_cases(job, self.protocol, asked, self._judgments(checkpoint))
        by_id = {item.item_id: item for item in items}
        results = publish_results(
            job,
            self.fingerprint(checkpoint),
            lambda: decided_rows(by_id, answers, judgments.rows, one_order),
        )
        return ScoredItems(results, len(items) * self._asked.sampling.n, judgments)

    @property
    def _asked(self) -> Asked:
        return Asked(self.evaluation.sampling)

    def _judgments(self, checkpoint: str) -> str:
        return judgments_fingerprint(self.protocol, answers_fingerprint(checkpoint, self._asked), self.files)
