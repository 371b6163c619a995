"""Evaluates a tuned model or untuned base on one benchmark. Stored rows are reused."""

from dataclasses import dataclass, replace

import polars as pl

from preceptor.evaluation.job import Declared, EvaluationJob, Metric, NotEvaluatedError, ScoredItems
from preceptor.evaluation.kind import kind_of
from preceptor.evaluation.scores import Account, score_rows, scores_fingerprint
from preceptor.lake.resume import Outcome, derive, put
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES
from preceptor.statistics.estimates import Estimate
from preceptor.study.evaluation import AnyEvaluation


@dataclass(frozen=True)
class Evaluated:
    """A benchmark's partitions of `eval_results`, `eval_scores` and, with a judge, `judgments`."""

    items: Outcome
    scores: Outcome
    judgments: Outcome | None
    account: Account


def evaluate(job: EvaluationJob[Declared]) -> Evaluated:
    """Bring the run's rows for a benchmark up to date.

    A failed item becomes a row with an `error`. An untuned base that cannot be evaluated has no items, and a
    score with an `error` instead of a value. Raises BenchmarkError for a file with an unusable row.
    """
    try:
        scored = kind_of(job.evaluation).score_items(job)
    except NotEvaluatedError as error:
        return _not_evaluated(job, str(error))
    account = Account.of(scored.results.rows, scored.expected)
    scores = _scores(job, scored, account)
    return Evaluated(scored.results, scores, scored.judgments, account)


def _not_evaluated(job: EvaluationJob[Declared], why: str) -> Evaluated:
    evaluation, lake = job.evaluation, job.lake
    of_results, of_scores = evaluation_fingerprints(evaluation, job.checkpoint.fingerprint)
    name = evaluation.metric_without_files or evaluation.metric
    metric, account = Metric(name, Estimate(error=why), "none", 0), Account(0, 0, 0, 0)
    rows = score_rows([metric], account, kind_of(evaluation).named(evaluation))
    scores = put(lake, EVAL_SCORES, job.partition, of_scores, rows)
    nothing = pl.DataFrame(schema=EVAL_RESULTS.row_schema)
    items = Outcome(EVAL_RESULTS, nothing, lake.create(EVAL_RESULTS).version(), of_results, 0, 0, 0.0)
    return Evaluated(items, scores, None, account)


def _scores(job: EvaluationJob[Declared], scored: ScoredItems, account: Account) -> Outcome:
    evaluation = job.evaluation
    kind = kind_of(evaluation)
    named = kind.named(evaluation)
    made_of = scores_fingerprint(evaluation, scored.results.fingerprint, named, kind.files(evaluation))
    place = (job.lake, EVAL_SCORES, job.partition, made_of)

    def make() -> pl.DataFrame:
        found = kind.metrics(job, scored)
        if not account.balanced:
            lost = Estimate(error=f"the account does not balance: {account}")
            found = [replace(metric, estimate=lost) for metric in found]
        return score_rows(found, account, named)

    present = derive(*place, make)
    fetched_since = kind.lacks_files(present.rows) and kind.fetched(job.lake)
    outdated = job.retry_failed or fetched_since or _account(present.rows) != account
    return put(*place, make()) if present.computed == 0 and outdated else present


def _account(scores: pl.DataFrame) -> Account:
    return Account(*scores.select("expected", "judged", "failed", "filtered").row(0))


def evaluation_fingerprints(evaluation: AnyEvaluation, checkpoint: str) -> tuple[str, str]:
    """The fingerprints of a checkpoint's results and scores for the current code and settings."""
    kind = kind_of(evaluation)
    results = kind.fingerprint_of(evaluation, checkpoint)
    return results, scores_fingerprint(evaluation, results, kind.named(evaluation), kind.files(evaluation))
