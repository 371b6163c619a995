"""Duels that a judge decides: it scores the response and the reference, the difference is the odds."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.compute.conversation import TEMPLATES, Conversation
from preceptor.evaluation.items import Item, Verdict
from preceptor.fingerprint import fingerprint, model_identity
from preceptor.study.evaluation import Judge

if TYPE_CHECKING:
    from preceptor.compute.reward import Reward, RewardScorer

VERSION = 2


def judge_answers(
    judge: "RewardScorer", items: Sequence[Item], answers: Sequence[tuple[str, ...]]
) -> list[Verdict]:
    """The probability of each answer beating its item's reference; where a score is missing, why."""
    responses = [Conversation(i.system, i.user, turns) for i, turns in zip(items, answers, strict=True)]
    references = [Conversation(i.system, i.user, i.reference) for i in items]
    rewards = judge.score([*responses, *references])
    return [_verdict(*pair) for pair in zip(rewards[: len(items)], rewards[len(items) :], strict=True)]


def win_probability(score: float, reference_score: float) -> float:
    """σ(score - reference score): Bradley and Terry's model, whose log-strengths the scores are."""
    return 0.5 * (1 + math.tanh((score - reference_score) / 2))  # σ without overflow


def judge_fingerprint(judge: Judge) -> str:
    """Changes with the model, its template and how its head is read."""
    how = judge.model_dump(include={"dtype", "prompt_format", "label", "max_length"})
    identity = model_identity(judge.model, judge.revision)
    return fingerprint("judge", VERSION, model=identity, template=TEMPLATES.get(judge.prompt_format), **how)


def _verdict(response: "Reward", reference: "Reward") -> Verdict:
    score, reference_score = response.reward, reference.reward
    if score is None:
        return Verdict(None, None, reference_score, f"the judge cannot score the response: {response.error}")
    if reference_score is None:
        return Verdict(None, score, None, f"the judge cannot score the reference: {reference.error}")
    return Verdict(win_probability(score, reference_score), score, reference_score)
