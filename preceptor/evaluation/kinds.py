"""What each kind of evaluation is: how its rows are known, made, and added up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from preceptor.evaluation import checked, duels, grades, pairwise
from preceptor.evaluation.arena_hard import benchmark as arena_hard
from preceptor.evaluation.examination import Examination, Examined, Metric
from preceptor.evaluation.held_out import benchmark as held_out
from preceptor.evaluation.held_out import ranking_benchmark as ranking
from preceptor.evaluation.human import benchmark as people
from preceptor.evaluation.humaneval import benchmark as humaneval
from preceptor.evaluation.lm_eval import benchmark as lm_eval
from preceptor.evaluation.scores import Named
from preceptor.study.evaluation import AnyEvaluation


def _nobody(_: AnyEvaluation) -> Named:
    return Named()


def _no_files(_: AnyEvaluation) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Kind:
    """`fingerprint_of` (evaluation, checkpoint's mark) is the results' mark; `examine` makes them.

    `metrics` add them up, the main one first (report/main_metric.py says when that is another than the
    study's); `named` gives the judge and the reference; `files` what else the metrics read. `check` raises
    BenchmarkError, or what a missing program raises, before any model runs.
    """

    check: Callable[[Any], None]
    fingerprint_of: Callable[[Any, str], str]
    examine: Callable[[Examination[Any]], Examined]
    metrics: Callable[[Examination[Any], Examined], list[Metric]]
    named: Callable[[Any], Named] = _nobody
    files: Callable[[Any], dict[str, Any]] = _no_files


KINDS = {
    "checkers": Kind(checked.check, checked.fingerprint_of, checked.examine, checked.metrics),
    "pairwise": Kind(
        duels.check, pairwise.fingerprint_of, pairwise.examine, duels.metrics, pairwise.named, duels.files
    ),
    "grades": Kind(grades.check, grades.fingerprint_of, grades.examine, grades.metrics, grades.named),
    "arena_hard": Kind(
        arena_hard.check,
        arena_hard.fingerprint_of,
        arena_hard.examine,
        arena_hard.metrics,
        arena_hard.named,
        arena_hard.files,
    ),
    "lm_eval": Kind(lm_eval.check, lm_eval.fingerprint_of, lm_eval.examine, lm_eval.metrics),
    "humaneval": Kind(humaneval.check, humaneval.fingerprint_of, humaneval.examine, humaneval.metrics),
    "response_ranking": Kind(
        ranking.check, ranking.fingerprint_of, ranking.examine, ranking.metrics, ranking.named
    ),
    "held_out_loss": Kind(
        held_out.check, held_out.fingerprint_of, held_out.examine, held_out.metrics, held_out.named
    ),
    "human_ratings": Kind(people.check, people.fingerprint_of, people.examine, people.metrics, people.named),
}
