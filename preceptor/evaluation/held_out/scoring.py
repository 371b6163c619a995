"""Losses of given responses under the tuned model or its base."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.job import EvaluationJob
from preceptor.study.held_out import HeldOutLoss, ResponseRanking

if TYPE_CHECKING:
    from preceptor.compute.loss import ResponseLoss

VERSION = 3  # 3: a blank that a template adds before an answer counts as part of the answer
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
    """Losses in order. The benchmark decides whether end tokens count; the base's own setting is for CAR."""
    scored = {"include_end_of_turn": job.evaluation.include_end_of_turn}
    base = job.checkpoint.base.model_copy(update=scored)
    return job.engines.losses(base, folder).score(conversations)
