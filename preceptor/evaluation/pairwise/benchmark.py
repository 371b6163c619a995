"""Comparisons with a reference's responses, kind `pairwise`, by a classifier's scores or by a judge."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.items import Item, read_items
from preceptor.evaluation.job import EvaluationJob, ScoredItems
from preceptor.evaluation.judging.benchmark import Judged
from preceptor.evaluation.judging.judge import protocol_of
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.pairwise.across_runs import one_formula, values
from preceptor.evaluation.pairwise.difficulty import is_fetched
from preceptor.evaluation.pairwise.metrics import PROMPT, check, files, lacks_files, metrics
from preceptor.evaluation.responses import Asked, answer_items, answers_fingerprint, sample_keys
from preceptor.evaluation.results import (
    AnswerRow,
    Decision,
    answered_row,
    complete_results,
    results_fingerprint,
)
from preceptor.evaluation.scores import Named
from preceptor.fingerprint import fingerprint, model_identity, prompt_identity
from preceptor.lake.resume import Rows
from preceptor.records import records_identity
from preceptor.responses.rows import chunks
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import ClassifierJudge

if TYPE_CHECKING:
    from preceptor.compute.reward import Reward, RewardScorer

VERSION = 3  # 3: the conversation in the model's own template, complete


def fingerprint_of(evaluation: Pairwise, checkpoint: str) -> str:
    """Changes with the answers, the references and how they are read, and the judge."""
    if not isinstance(evaluation.judge, ClassifierJudge):
        return _judged(evaluation).fingerprint(checkpoint)
    answers = answers_fingerprint(checkpoint, Asked(evaluation.sampling))
    parts = {"judge": classifier_fingerprint(evaluation.judge), "answers": answers, **_file(evaluation)}
    return results_fingerprint(evaluation, checkpoint, parts)


def named(evaluation: Pairwise) -> Named:
    """The judge's identity in one line, and the name of the reference."""
    judge = evaluation.judge
    if isinstance(judge, ClassifierJudge):
        identity = f"{judge.name} ({model_identity(judge.model, judge.revision)})"
    else:
        identity = str(_judged(evaluation).protocol)
    return Named(identity, evaluation.reference)


def score_items(job: EvaluationJob[Pairwise]) -> ScoredItems:
    """Answer the items, and compare each answer with the reference's."""
    items = read_items(job.evaluation)
    if not isinstance(job.evaluation.judge, ClassifierJudge):
        return _judged(job.evaluation).score_items(job, items)
    answers = answer_items(job, items, Asked(job.evaluation.sampling)).rows
    return _scored(job, job.evaluation.judge, items, answers)


def _scored(
    job: EvaluationJob[Pairwise],
    judge: ClassifierJudge,
    items: Sequence[Item],
    answers: pl.DataFrame,
) -> ScoredItems:
    asked = {item.item_id: item for item in items}
    answered = {row["item_id"]: row for row in answers.iter_rows(named=True)}

    def compute(missing: pl.DataFrame) -> Rows:
        scorer = job.engines.classifier(judge)
        for chunk in chunks(missing, job.rows_at_once):
            pairs = [(asked[item_id], answered[item_id]) for item_id in chunk["item_id"]]
            yield from _compared(scorer, pairs)

    made_of = fingerprint_of(job.evaluation, job.checkpoint.fingerprint)
    results = complete_results(job, made_of, sample_keys(list(asked), 1), compute)
    return ScoredItems(results, len(items))


def _compared(scorer: "RewardScorer", pairs: Sequence[tuple[Item, AnswerRow]]) -> list[dict[str, Any]]:
    good = [(item, tuple(answer["turns"])) for item, answer in pairs if answer["error"] is None]
    decisions = compare(scorer, [item for item, _ in good], [turns for _, turns in good])
    found = {item.item_id: decision for (item, _), decision in zip(good, decisions, strict=True)}
    return [answered_row(item, answer, found.get(item.item_id, Decision())) for item, answer in pairs]


def compare(
    scorer: "RewardScorer", items: Sequence[Item], answers: Sequence[tuple[str, ...]]
) -> list[Decision]:
    """The probability that each answer beats its item's reference, or an error."""
    responses = [Conversation(i.system, i.user, turns) for i, turns in zip(items, answers, strict=True)]
    references = [Conversation(i.system, i.user, i.reference) for i in items]
    rewards = scorer.score([*responses, *references])
    return [_decision(*pair) for pair in zip(rewards[: len(items)], rewards[len(items) :], strict=True)]


def win_probability(score: float, reference_score: float) -> float:
    """σ(score - reference score), the Bradley-Terry model with the scores as log-strengths."""
    return 0.5 * (1 + math.tanh((score - reference_score) / 2))  # σ without overflow


def classifier_fingerprint(judge: ClassifierJudge) -> str:
    """Changes with the model, its template, and how its head is read."""
    how = judge.model_dump(include={"dtype", "prompt_format", "label", "max_length"})
    identity = prompt_identity(judge.model, judge.revision, judge.prompt_format, judge.prompt_date)
    return fingerprint("judge", VERSION, **identity, **how)


def _decision(response: "Reward", reference: "Reward") -> Decision:
    score, reference_score = response.reward, reference.reward
    if score is None:
        error = f"the judge cannot score the response: {response.error}"
        return Decision(reference_score=reference_score, error=error)
    if reference_score is None:
        return Decision(score=score, error=f"the judge cannot score the reference: {reference.error}")
    return Decision(win_probability(score, reference_score), score, reference_score)


def _judged(evaluation: Pairwise) -> Judged:
    assert not isinstance(evaluation.judge, ClassifierJudge)
    return Judged(evaluation, protocol_of(evaluation.judge, PROMPT), _file(evaluation))


def _file(evaluation: Pairwise) -> dict[str, Any]:
    return {**evaluation.reading, **records_identity(evaluation)}


KIND = Kind(
    check,
    fingerprint_of,
    score_items,
    metrics,
    named,
    files,
    fetched=is_fetched,
    lacks_files=lacks_files,
    values=values,
    together=one_formula,
)
