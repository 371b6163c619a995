"""Rewards from a judge behind an OpenAI-compatible endpoint: a grade from 1 to 10 for each response."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preceptor.compute.conversation import Conversation
from preceptor.endpoint.grade import read_grade
from preceptor.endpoint.rubric import RESPONSE_FORMAT, judge_messages
from preceptor.study.reward_models import JudgeRewardModel

if TYPE_CHECKING:  # the HTTP client takes a second to import, and a fingerprint asks for JUDGE_VERSION only
    from preceptor.endpoint.client import Client, Row

JUDGE_VERSION = 1  # changes with the words of the prompt, the sampling, and how a grade is read
MAX_TOKENS = 2048  # for the reasoning and the grade; models that think before they speak need room


@dataclass(frozen=True)
class Reward:
    """A grade, or why there is none."""

    reward: float | None = None
    error: str | None = None


class EndpointJudge:
    """A judge that is asked over HTTP, many rows at once, for JSON in the schema of a grade."""

    def __init__(self, reward_model: JudgeRewardModel) -> None:
        from preceptor.endpoint.readable import OPTIONAL, ReadableAnswers, Wanted
        from preceptor.endpoint.rows import Rows
        from preceptor.endpoint.spent import Spent

        self.reward_model = reward_model
        spent = Spent(reward_model.prices)
        self.facts = spent.facts
        self._answers = ReadableAnswers(reward_model.attempts, spent)
        self._wanted = Wanted(lambda completion: read_grade(completion.text), "grade from 1 to 10")
        self._rows = Rows(reward_model, self._grade, lambda error: Reward(error=error), spent, OPTIONAL)

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Reward]]:
        """Rewards as they come; closing the generator cancels what is in flight.

        Raises EndpointError where nothing would be graded.
        """
        return self._rows.stream(conversations)

    async def _grade(self, client: "Client", row: "Row", conversation: Conversation) -> Reward:
        request = {
            "messages": judge_messages(conversation, self.reward_model.rubric),
            "temperature": 0.0,
            "seed": self.reward_model.seed,
            "max_tokens": MAX_TOKENS,
            "response_format": RESPONSE_FORMAT,
        }
        grade, _ = await self._answers.ask(client, row, request, self._wanted)
        return Reward(float(grade))
