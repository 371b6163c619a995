"""A tuned model on one benchmark: its answers, a verdict on each, and what they add up to; done once."""

from dataclasses import dataclass

from preceptor.evaluation.items import read_items
from preceptor.evaluation.responses import Checkpoint, LoadGenerator, answer_items
from preceptor.evaluation.results import LoadJudge, decide_items
from preceptor.evaluation.scores import score_rows, scores_fingerprint
from preceptor.lake.resume import Outcome, derive
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.lake.store import Lake
from preceptor.study.evaluation import Checkers, Pairwise


@dataclass(frozen=True)
class Engines:
    """How this machine loads a tuned model and a judge: called only for rows that are missing."""

    generator: LoadGenerator
    judge: LoadJudge


@dataclass(frozen=True)
class Evaluated:
    """The partition of `eval_results`, a row an item, and that of `eval_scores`, a row a metric."""

    items: Outcome
    scores: Outcome


def evaluate(
    lake: Lake,
    run: str,
    evaluation: Checkers | Pairwise,
    checkpoint: Checkpoint,
    engines: Engines,
    rows_per_commit: int,
) -> Evaluated:
    """Bring the run's rows of `eval_results` and `eval_scores` for a benchmark up to date.

    Raises BenchmarkError for a file with an unusable row; a failing item is a row with an `error`.
    """
    items = read_items(evaluation)
    answers = answer_items(
        lake, run, checkpoint, items, evaluation.sampling, engines.generator, rows_per_commit
    )
    results = decide_items(
        lake,
        run,
        evaluation,
        checkpoint.fingerprint,
        items,
        answers.rows,
        engines.judge,
        rows_per_commit,
    )
    partition = {"run": run, "benchmark": evaluation.name}
    made_of = scores_fingerprint(evaluation, results.fingerprint)
    scores = derive(lake, EVAL_SCORES, partition, made_of, lambda: score_rows(evaluation, results.rows))
    return Evaluated(results, scores)
