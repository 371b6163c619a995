"""Benchmarks whose answers a program checks: kind `checkers`."""

from typing import Any

import polars as pl

from preceptor.evaluation.checkers import CHECKS
from preceptor.evaluation.items import Item, read_items
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.responses import Asked, answer_items, answers_fingerprint, sample_keys
from preceptor.evaluation.results import (
    TURN_BREAK,
    AnswerRow,
    Decision,
    answered_row,
    complete_results,
    results_fingerprint,
)
from preceptor.lake.resume import Rows
from preceptor.records import records_identity
from preceptor.statistics.proportions import mean_share
from preceptor.study.evaluation import Checkers

VERSION = 3  # of the checkers
METHOD = "right answers / items with an outcome; Wilson's interval"


def check(evaluation: Checkers) -> None:
    """Read a local file. Raises BenchmarkError or RecordsError for one that cannot be used."""
    if evaluation.path is not None:
        read_items(evaluation)


def fingerprint_of(evaluation: Checkers, checkpoint: str) -> str:
    """Changes with the answers, the benchmark's file, and how it is read and checked."""
    return results_fingerprint(
        evaluation,
        checkpoint,
        {
            "checkers": VERSION,
            "answers": answers_fingerprint(checkpoint, Asked(evaluation.sampling)),
            "columns": evaluation.columns.model_dump(exclude_none=True),
            **records_identity(evaluation),
        },
    )


def score_items(job: EvaluationJob[Checkers]) -> ScoredItems:
    """Answer the benchmark's items and check the answers."""
    evaluation = job.evaluation
    items = {item.item_id: item for item in read_items(evaluation)}
    answers = answer_items(job, list(items.values()), Asked(evaluation.sampling)).rows
    answered = {row["item_id"]: row for row in answers.iter_rows(named=True)}

    def compute(missing: pl.DataFrame) -> Rows:
        for item_id in missing["item_id"]:
            yield _row(items[item_id], answered[item_id])

    made_of = fingerprint_of(evaluation, job.checkpoint.fingerprint)
    results = complete_results(job, made_of, sample_keys(list(items), 1), compute)
    return ScoredItems(results, expected=len(items))


def metrics(_: EvaluationJob[Checkers], scored: ScoredItems) -> list[Metric]:
    """The share of right answers."""
    outcomes = scored.results.rows["outcome"].drop_nulls()
    return [Metric("accuracy", mean_share(outcomes.to_list()), METHOD, len(outcomes))]


def _row(item: Item, answer: AnswerRow) -> dict[str, Any]:
    right = CHECKS[item.check](TURN_BREAK.join(answer["turns"]), item.answer)
    return answered_row(item, answer, Decision(float(right)))


KIND = Kind(check, fingerprint_of, score_items, metrics)
