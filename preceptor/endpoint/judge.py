"""Rewards from a judge behind an OpenAI-compatible endpoint: a grade from 1 to 10 for each response."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preceptor.compute.conversation import Conversation
from preceptor.endpoint.errors import RefusedRequest, RowError, shortened
from preceptor.endpoint.grade import read_grade
from preceptor.endpoint.rubric import RESPONSE_FORMAT, judge_messages
from preceptor.study.reward_models import JudgeRewardModel

if TYPE_CHECKING:  # the HTTP client takes a second to import, and a fingerprint asks for JUDGE_VERSION only
    from preceptor.endpoint.client import Client, Row
    from preceptor.endpoint.completion import Completion

log = logging.getLogger(__name__)
JUDGE_VERSION = 1  # changes with the words of the prompt, the sampling, and how a grade is read
MAX_TOKENS = 2048  # for the reasoning and the grade; models that think before they speak need room
OPTIONAL = {"temperature", "seed"}  # models that think first often take neither
AGAIN_TEMPERATURE = 0.5  # without it the same words would come back, whatever the seed


@dataclass(frozen=True)
class Reward:
    """A grade, or why there is none."""

    reward: float | None = None
    error: str | None = None


class EndpointJudge:
    """A judge that is asked over HTTP, many rows at once.

    It asks for JSON in the schema of a grade, and in words only from a server that refuses `response_format`.
    """

    def __init__(self, reward_model: JudgeRewardModel) -> None:
        from preceptor.endpoint.rows import Rows
        from preceptor.endpoint.spent import Spent

        self.reward_model = reward_model
        self._spent = Spent(reward_model.prices)
        self.facts = self._spent.facts
        self._spent.add("parse_failures", 0)
        self._rows = Rows(reward_model, self._grade, lambda error: Reward(error=error), self._spent, OPTIONAL)
        self._takes_schema: bool | None = None  # not known yet

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Reward]]:
        """Rewards as they come; closing the generator cancels what is in flight.

        Raises EndpointError where nothing would be graded.
        """
        return self._rows.stream(conversations)

    async def _grade(self, client: "Client", row: "Row", conversation: Conversation) -> Reward:
        messages = judge_messages(conversation, self.reward_model.rubric)
        failures = 0
        while True:
            body: dict[str, Any] = {
                "messages": messages,
                "temperature": 0.0 if failures == 0 else AGAIN_TEMPERATURE,
                "seed": self.reward_model.seed + failures,
            }
            completion = await self._asked(client, row, body)
            grade = read_grade(completion.text)
            if grade is not None:
                return Reward(float(grade))
            failures += 1
            self._spent.add("parse_failures")
            self._again(row, failures, completion)

    def _again(self, row: "Row", failures: int, completion: "Completion") -> None:
        """Use up one of the row's attempts; raises RowError where it was the last."""
        row.faults += 1
        if row.faults >= self.reward_model.attempts:
            cut = " and was cut there" if completion.finish_reason == "length" else ""
            raise RowError(
                f"no grade from 1 to 10 in {failures} answers of the judge; the last said"
                f" {shortened(completion.text, 200)!r}{cut}"
            )
        self._spent.add("retries")

    async def _asked(self, client: "Client", row: "Row", body: dict[str, Any]) -> "Completion":
        if self._takes_schema is False:
            return await client.ask(row, max_tokens=MAX_TOKENS, **body)
        try:
            completion = await client.ask(row, max_tokens=MAX_TOKENS, response_format=RESPONSE_FORMAT, **body)
        except RefusedRequest as refusal:
            if self._takes_schema:
                raise
            return await self._asked_in_words(client, row, body, refusal)
        self._takes_schema = True
        return completion

    async def _asked_in_words(
        self, client: "Client", row: "Row", body: dict[str, Any], refusal: RefusedRequest
    ) -> "Completion":
        """Only if this works was `response_format` what the server refused."""
        completion = await client.ask(row, max_tokens=MAX_TOKENS, **body)
        if self._takes_schema is None:
            self._takes_schema = False
            log.warning(
                "%s takes no response_format; asked for JSON in words: %s", client.health.address, refusal
            )
        return completion
