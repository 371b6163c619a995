"""Responses that somebody else wrote, scored by the tuned model, or by the base that it was tuned from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.job import EvaluationJob
from preceptor.study.held_out import HeldOutLoss, ResponseRanking

if TYPE_CHECKING:
    from preceptor.compute.loss import ResponseLoss

VERSION = 3  # 3: a blank that a template sets before an answer is the answer's
OnResponses = EvaluationJob[HeldOutLoss] | EvaluationJob[ResponseRanking]


def tuned_losses(job: OnResponses, conversations: Sequence[Conversation]) -> list["ResponseLoss"]:
    """The tuned model's losses, in order."""
    return _losses(job, job.checkpoint.folder(), conversations)


def base_losses(job: OnResponses, conversations: Sequence[Conversation]) -> list["ResponseLoss"]:
    """The untuned base's losses, in order."""
    return _losses(job, None, conversations)


def _losses(
    job: OnResponses, folder: str | None, conversations: Sequence[Conversation]
) -> list["ResponseLoss"]:
    """The benchmark says whether end tokens count: a base's own setting is CAR's, and may change."""
    scored = {"include_end_of_turn": job.evaluation.include_end_of_turn}
    base = job.checkpoint.base.model_copy(update=scored)
    return job.engines.losses(base, folder).score(conversations)
