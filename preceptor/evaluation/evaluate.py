"""A tuned model, or untuned base, on one benchmark: answers, verdicts, and what they add up to; done once."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from preceptor.evaluation.difficulty import NO_FILES, is_fetched
from preceptor.evaluation.examination import Examination, Examined, Metric, UnexaminableError
from preceptor.evaluation.examination import Kind as Evaluation
from preceptor.evaluation.scores import Account, score_rows, scores_fingerprint
from preceptor.lake.resume import Outcome, derive, put
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES
from preceptor.lake.store import Lake
from preceptor.statistics.estimates import Estimate
from preceptor.study.evaluation import AnyEvaluation, Pairwise

if TYPE_CHECKING:
    from preceptor.evaluation.kinds import Kind


@dataclass(frozen=True)
class Evaluated:
    """A benchmark's partitions: `eval_results` and `eval_scores`, and `judgments` where a judge was asked."""

    items: Outcome
    scores: Outcome
    judgments: Outcome | None
    account: Account


def evaluate(examination: Examination[Evaluation]) -> Evaluated:
    """Bring the run's rows for a benchmark up to date.

    Raises BenchmarkError for a file with an unusable row; a failing item is a row with an `error`. An untuned
    base that cannot be examined has no items, and a score without value that says why.
    """
    try:
        examined = _kind(examination.evaluation).examine(examination)
    except UnexaminableError as error:
        return _unexamined(examination, str(error))
    account = Account.of(examined.results.rows, examined.expected)
    scores = _scores(examination, examined, account)
    return Evaluated(examined.results, scores, examined.judgments, account)


def _unexamined(examination: Examination[Evaluation], why: str) -> Evaluated:
    evaluation, lake = examination.evaluation, examination.lake
    of_results, of_scores = current_fingerprints(evaluation, examination.checkpoint.fingerprint)
    name = "win_rate" if isinstance(evaluation, Pairwise) else evaluation.metric  # which needs no other file
    metric, account = Metric(name, Estimate(error=why), "none", 0), Account(0, 0, 0, 0)
    rows = score_rows([metric], account, _kind(evaluation).named(evaluation))
    scores = put(lake, EVAL_SCORES, examination.partition, of_scores, rows)
    nothing = pl.DataFrame(schema=EVAL_RESULTS.row_schema)
    items = Outcome(EVAL_RESULTS, nothing, lake.create(EVAL_RESULTS).version(), of_results, 0, 0, 0.0)
    return Evaluated(items, scores, None, account)


def _scores(examination: Examination[Evaluation], examined: Examined, account: Account) -> Outcome:
    evaluation = examination.evaluation
    kind = _kind(evaluation)
    named = kind.named(evaluation)
    made_of = scores_fingerprint(evaluation, examined.results.fingerprint, named, kind.files(evaluation))
    place = (examination.lake, EVAL_SCORES, examination.partition, made_of)

    def make() -> pl.DataFrame:
        found = kind.metrics(examination, examined)
        if not account.balanced:
            lost = Estimate(error=f"the account does not balance: {account}")
            found = [replace(metric, estimate=lost) for metric in found]
        return score_rows(found, account, named)

    present = derive(*place, make)
    outdated = examination.retry_failed or _outdated(examination.lake, present.rows, account)
    return put(*place, make()) if present.computed == 0 and outdated else present


def _outdated(lake: Lake, scores: pl.DataFrame, account: Account) -> bool:
    """Whether there is more to know under the same mark: failed rows tried again, files fetched since."""
    waits = scores["method"].str.contains(NO_FILES, literal=True).any()
    return _account(scores) != account or (waits and is_fetched(lake))


def _account(scores: pl.DataFrame) -> Account:
    return Account(*scores.select("expected", "judged", "failed", "filtered").row(0))


def current_fingerprints(evaluation: AnyEvaluation, checkpoint: str) -> tuple[str, str]:
    """The marks that the results and the scores of a checkpoint would have today."""
    kind = _kind(evaluation)
    results = kind.fingerprint_of(evaluation, checkpoint)
    return results, scores_fingerprint(evaluation, results, kind.named(evaluation), kind.files(evaluation))


def _kind(evaluation: AnyEvaluation) -> "Kind":
    from preceptor.evaluation.kinds import KINDS  # a tenth of what the definitions take to load

    return KINDS[evaluation.kind]
