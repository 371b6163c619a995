"""A tuned model on one benchmark: its answers, a verdict on each, and what they add up to; done once."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from preceptor.evaluation.difficulty import NO_FILES, is_fetched
from preceptor.evaluation.estimates import Estimate
from preceptor.evaluation.examination import Examination, Examined
from preceptor.evaluation.examination import Kind as Evaluation
from preceptor.evaluation.scores import Account, score_rows, scores_fingerprint
from preceptor.lake.resume import Outcome, derive, put
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.lake.store import Lake
from preceptor.study.evaluation import AnyEvaluation

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

    Raises BenchmarkError for a file with an unusable row; a failing item is a row with an `error`.
    """
    examined = _kind(examination.evaluation).examine(examination)
    account = Account.of(examined.results.rows, examined.expected)
    scores = _scores(examination, examined, account)
    return Evaluated(examined.results, scores, examined.judgments, account)


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
