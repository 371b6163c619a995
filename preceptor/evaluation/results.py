"""Rows of `eval_results`: the outcome of every answer, for all kinds of evaluation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from preceptor.evaluation.items import Item
from preceptor.evaluation.job import Declared, EvaluationJob
from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Compute, Outcome, Work, complete, put
from preceptor.lake.schemas import EVAL_RESULTS
from preceptor.study.evaluation import AnyEvaluation

VERSION = 2
TURN_BREAK = "\n\n"
AnswerRow = dict[str, Any]  # a row of `student_responses`


@dataclass(frozen=True)
class Decision:
    """The outcome of an answer, or an `error`. `filtered` is given where it was left out on purpose."""

    outcome: float | None = None
    score: float | None = None
    reference_score: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    why: str | None = None
    filtered: str | None = None
    error: str | None = None


def results_fingerprint(
    evaluation: AnyEvaluation, checkpoint_fingerprint: str, parts: Mapping[str, Any]
) -> str:
    """Changes with the tuned model and with `parts` (the benchmark's file and settings)."""
    return fingerprint(
        "eval_results", VERSION, kind=evaluation.kind, checkpoint=checkpoint_fingerprint, **parts
    )


def complete_results(
    job: EvaluationJob[Declared], made_of: str, keys: pl.DataFrame, compute: Compute
) -> Outcome:
    """Complete a partition to one row for each key (item_id, sample). `compute` gets the missing keys."""
    work = Work(
        EVAL_RESULTS,
        job.partition,
        made_of,
        ("item_id", "sample"),
        keys,
        job.retry_failed,
    )
    return complete(job.lake, work, compute)


def publish_results(
    job: EvaluationJob[Declared], made_of: str, rows: Callable[[], list[dict[str, Any]]]
) -> Outcome:
    """Write a partition whose rows follow cheaply from stored tables."""
    frame = pl.DataFrame(rows(), schema=EVAL_RESULTS.row_schema)
    return put(job.lake, EVAL_RESULTS, job.partition, made_of, frame)


def answered_row(item: Item, answer: AnswerRow, decision: Decision) -> dict[str, Any]:
    """The row of an answer. A missing answer is an error, not a wrong answer."""
    if answer["error"] is not None:
        decision = Decision(error=f"no response: {answer['error']}")
    return {
        "item_id": item.item_id,
        "sample": answer["sample"],
        "instruction": item.user,
        "task": item.task,
        "response": answer["turns"],
        "reference": item.answer or TURN_BREAK.join(item.reference),
        "response_tokens": answer["response_tokens"],
        **decision_columns(decision),
    }


def decision_columns(decision: Decision) -> dict[str, Any]:
    """The columns of a row that hold a decision."""
    measures = [{"name": name, "value": value} for name, value in decision.measures.items()]
    return {**vars(decision), "measures": measures}
