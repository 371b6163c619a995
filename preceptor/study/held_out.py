"""Evaluations on given responses: the likelihood that the tuned model assigns to them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from preceptor.study.conversations import Conversations
from preceptor.study.evaluation_facts import EvaluationFacts
from preceptor.study.fields import InstructionFormat, Name, Whole


class ResponseRanking(EvaluationFacts, Conversations):
    """P[p(real response | instruction) > p(random response | instruction)], for base and tuned model.

    arXiv 2409.14254, Table 2: Alpaca's first 1,000 rows, 5 random responses each. `metric` chooses between
    the likelihood of the whole response (`raw`) and the mean over its tokens (`normalised`).
    """

    name: Name
    kind: Literal["response_ranking"]
    format: InstructionFormat = "alpaca"
    limit: Annotated[Whole, Field(gt=1)] | None = 1000
    others: Annotated[Whole, Field(gt=0)] = 5
    include_end_of_turn: bool = False  # the authors' code counts it
    metric: Literal["normalised", "raw"] = "normalised"
    seed: Annotated[Whole, Field(ge=0)] = 0


class HeldOutLoss(EvaluationFacts, Conversations):
    """The loss on held-out responses, the target of InstructMining (arXiv 2307.06290)."""

    higher_is_better: ClassVar[bool] = False
    is_share: ClassVar[bool] = False
    name: Name
    kind: Literal["held_out_loss"]
    format: InstructionFormat = "alpaca"
    include_end_of_turn: bool = False
    metric: Literal["held_out_loss", "perplexity"] = "held_out_loss"
