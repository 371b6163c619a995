"""LIMA's grades of helpfulness, kind `grades`: n answers to each prompt, each with a grade from 1 to 6."""

from functools import partial

import polars as pl

from preceptor.evaluation.estimates import item_mean
from preceptor.evaluation.item_values import mean_values
from preceptor.evaluation.items import read_items
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.judging.benchmark import Judged
from preceptor.evaluation.judging.judge import Protocol, protocol_of
from preceptor.evaluation.judging.reliability import grading_reliability
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.scores import Named
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.judging.prompt_file import read_prompt
from preceptor.records import records_identity
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.study.evaluation import Grades

PROMPT = "grade"
LOWEST, HIGHEST = 1, 6
METHOD = (
    "mean over items of the mean grade (1 to 6) of their answers; interval: 1.96 standard errors of the"
    " items' means (answers to one item are not independent), Wilson's where these do not vary"
)


def check(evaluation: Grades) -> None:
    """Read the local file of prompts and the judge's prompt. Raises BenchmarkError or RecordsError."""
    protocol(evaluation)
    if evaluation.path is not None:
        read_items(evaluation)


def fingerprint_of(evaluation: Grades, checkpoint: str) -> str:
    """Changes with the answers, how many there are, the prompts, and the judge."""
    return _judged(evaluation).fingerprint(checkpoint)


def protocol(evaluation: Grades) -> Protocol:
    """The judge's protocol. Raises BenchmarkError for labels outside of LIMA's grades."""
    prompt = read_prompt(evaluation.judge.prompt, PROMPT)
    if prompt.kind == "grade" and not all(LOWEST <= worth <= HIGHEST for worth in prompt.labels.values()):
        raise BenchmarkError(
            f"prompt file {prompt.name!r}: LIMA's grades are {LOWEST} to {HIGHEST}: use only labels with"
            " these values"
        )
    return protocol_of(evaluation.judge, PROMPT)


def named(evaluation: Grades) -> Named:
    """The judge's identity in one line. There is no reference."""
    return Named(str(protocol(evaluation)), "nothing: each answer is graded alone")


def score_items(job: EvaluationJob[Grades]) -> ScoredItems:
    """Answer every prompt n times, and let the judge grade every answer."""
    return _judged(job.evaluation).score_items(job, read_items(job.evaluation))


def metrics(_: EvaluationJob[Grades], scored: ScoredItems) -> list[Metric]:
    """The mean grade, the share of answers at each level, and the judge's consistency."""
    graded = scored.results.rows.drop_nulls("outcome")
    found, items = item_mean(graded, LOWEST, HIGHEST)
    assert scored.judgments is not None
    judged = grading_reliability(scored.judgments.rows)
    return [Metric("grade", found, METHOD, items, unit="grade"), *_levels(graded), *judged]


def _levels(graded: pl.DataFrame) -> list[Metric]:
    method = (
        "share of answers with this grade, rounded; mean over items, 1.96 standard errors of their means,"
        " Wilson's interval where these do not vary"
    )
    metrics = []
    for level in range(LOWEST, HIGHEST + 1):
        reached = graded.with_columns(outcome=(pl.col("outcome").round() == level).cast(pl.Float64))
        share, items = item_mean(reached, 0.0, 1.0) if not graded.is_empty() else (Estimate(error=NOTHING), 0)
        metrics.append(Metric(f"grade_{level}", share, method, items))
    return metrics


def _judged(evaluation: Grades) -> Judged:
    files = {**evaluation.reading, **records_identity(evaluation)}
    return Judged(evaluation, protocol(evaluation), files)


KIND = Kind(
    check, fingerprint_of, score_items, metrics, named, values=partial(mean_values, largest=HIGHEST - LOWEST)
)
