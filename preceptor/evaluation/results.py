"""Rows of `eval_results`: a verdict on every answer, by the benchmark's checkers or its judge."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.evaluation.checkers import CHECKS
from preceptor.evaluation.items import Item, Verdict
from preceptor.evaluation.pairwise import judge_answers, judge_fingerprint
from preceptor.evaluation.responses import answers_fingerprint
from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Chunks, Outcome, Work, complete
from preceptor.lake.schemas import EVAL_RESULTS
from preceptor.lake.store import Lake
from preceptor.records import records_identity
from preceptor.responses.rows import chunks
from preceptor.study.evaluation import Checkers, Judge, Pairwise

if TYPE_CHECKING:
    from preceptor.compute.reward import RewardScorer

VERSION = 1  # of the checkers too
TURN_BREAK = "\n\n"
Answer = dict[str, Any]  # a row of `student_responses`
LoadJudge = Callable[[Judge], "RewardScorer"]
Decide = Callable[[Sequence[Item], Sequence[tuple[str, ...]]], list[Verdict]]


def decide_items(
    lake: Lake,
    run: str,
    evaluation: Checkers | Pairwise,
    checkpoint_fingerprint: str,
    items: Sequence[Item],
    answers: pl.DataFrame,
    load_judge: LoadJudge,
    rows_per_commit: int,
) -> Outcome:
    """Bring the run's partition of `eval_results` for a benchmark to one verdict an item.

    The judge is loaded only if rows are missing. An item without answer or score is a row with an `error`.
    """
    asked = {item.item_id: item for item in items}
    answered = {row["item_id"]: row for row in answers.iter_rows(named=True)}

    def compute(missing: pl.DataFrame) -> Chunks:
        decide = _decider(evaluation, load_judge)
        for chunk in chunks(missing, rows_per_commit):
            yield _decided(decide, [(asked[id], answered[id]) for id in chunk["item_id"]])

    partition = {"run": run, "benchmark": evaluation.name}
    made_of = results_fingerprint(evaluation, checkpoint_fingerprint)
    wanted = pl.DataFrame({"item_id": list(asked)}, schema={"item_id": pl.String})
    return complete(lake, Work(EVAL_RESULTS, partition, made_of, ("item_id",), wanted), compute)


def results_fingerprint(evaluation: Checkers | Pairwise, checkpoint_fingerprint: str) -> str:
    """Changes with the tuned model, its sampling, the benchmark's file and how it is read and decided."""
    judge = judge_fingerprint(evaluation.judge) if isinstance(evaluation, Pairwise) else None
    return fingerprint(
        "eval_results",
        VERSION,
        answers=answers_fingerprint(checkpoint_fingerprint, evaluation.sampling),
        judge=judge,
        **evaluation.model_dump(include={"kind", "format", "columns"}),
        **records_identity(evaluation),
    )


def _decider(evaluation: Checkers | Pairwise, load_judge: LoadJudge) -> Decide:
    match evaluation:
        case Checkers():
            return check_answers
        case Pairwise():
            return partial(judge_answers, load_judge(evaluation.judge))


def check_answers(items: Sequence[Item], answers: Sequence[tuple[str, ...]]) -> list[Verdict]:
    """1 where an item's check takes the answer, else 0."""
    pairs = zip(items, answers, strict=True)
    return [Verdict(float(CHECKS[item.check](TURN_BREAK.join(turns), item.answer))) for item, turns in pairs]


def _decided(decide: Decide, pairs: list[tuple[Item, Answer]]) -> pl.DataFrame:
    """Verdicts on the answers that there are; a missing one is an error and no wrong answer."""
    good = [(item, tuple(answer["turns"])) for item, answer in pairs if answer["error"] is None]
    verdicts = decide([item for item, _ in good], [turns for _, turns in good])
    found = {item.item_id: verdict for (item, _), verdict in zip(good, verdicts, strict=True)}
    rows = [
        _row(item, answer, found.get(item.item_id) or Verdict(error=f"no response: {answer['error']}"))
        for item, answer in pairs
    ]
    return pl.DataFrame(rows, schema=EVAL_RESULTS.row_schema)


def _row(item: Item, answer: Answer, verdict: Verdict) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "instruction": item.user,
        "task": item.task,
        "response": answer["turns"],
        "reference": item.answer or TURN_BREAK.join(item.reference),
        "response_tokens": answer["response_tokens"],
        **vars(verdict),
    }
