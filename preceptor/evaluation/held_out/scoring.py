"""Responses that somebody else wrote, scored by the tuned model, or by the base that it was tuned from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.examination import Examination
from preceptor.study.held_out import HeldOutLoss, ResponseRanking

if TYPE_CHECKING:
    from preceptor.compute.loss import ResponseLoss

VERSION = 3  # 3: a blank that a template sets before an answer is the answer's
OnResponses = Examination[HeldOutLoss] | Examination[ResponseRanking]


def tuned_losses(examination: OnResponses, conversations: Sequence[Conversation]) -> list["ResponseLoss"]:
    """The tuned model's losses, in order."""
    return _losses(examination, examination.checkpoint.folder(), conversations)


def base_losses(examination: OnResponses, conversations: Sequence[Conversation]) -> list["ResponseLoss"]:
    """The untuned base's losses, in order."""
    return _losses(examination, None, conversations)


def _losses(
    examination: OnResponses, folder: str | None, conversations: Sequence[Conversation]
) -> list["ResponseLoss"]:
    """The benchmark says whether end tokens count: a base's own setting is CAR's, and may change."""
    scored = {"include_end_of_turn": examination.evaluation.include_end_of_turn}
    base = examination.checkpoint.base.model_copy(update=scored)
    return examination.engines.losses(base, folder).score(conversations)
