"""A judge behind an endpoint. Each question gets a verdict, or an error."""

import json
import logging
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from preceptor.endpoint.completion import Completion, NoText, WithheldAnswer
from preceptor.endpoint.errors import RefusedRequest, RowError, shortened
from preceptor.endpoint.usage import Spent, Usage, total
from preceptor.judging.question import Question, Reading
from preceptor.study.endpoint import Endpoint

if TYPE_CHECKING:  # the HTTP client takes a second to import, and fingerprints do not need it
    from preceptor.endpoint.client import Client, Row

log = logging.getLogger(__name__)
OPTIONAL = {"temperature", "seed"}  # reasoning models often refuse both
AGAIN_TEMPERATURE = 0.5  # at 0 the same answer would come again, whatever the seed


@dataclass(frozen=True)
class Answer:
    """A judge's answer to a question with the verdict read from it, or an `error`.

    `filtered` repeats the error where the endpoint's filter or a refusal of the model caused it. Tokens and
    price cover all of the judge's answers to the question, also the unreadable ones.
    """

    raw: str | None = None
    verdict: str | None = None
    outcome: float | None = None
    prompt_tokens: int | None = None
    response_tokens: int | None = None
    price: float | None = None
    filtered: str | None = None
    error: str | None = None


class UnreadableAnswer(RowError):
    """None of the judge's answers could be read. `completion` is the last one."""

    def __init__(self, text: str, completion: Completion) -> None:
        super().__init__(text)
        self.completion = completion


class EndpointJudge:
    """Asks a judge over HTTP, many questions at once. `facts` counts requests, tokens and price.

    Where a question has a `response_format`, the judge is asked for JSON with it, and without it only if the
    server refuses it. Unreadable answers are requested again until the row's attempts are used up.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        from preceptor.endpoint.rows import Rows

        self.endpoint = endpoint
        self._spent = Spent(endpoint.prices)
        self._spent.add("parse_failures", 0)
        self.facts = self._spent.facts
        self._rows = Rows(endpoint, self._answer, lambda error: Answer(error=error), self._spent, OPTIONAL)
        self._takes_schema: bool | None = None  # not known yet

    def stream(self, questions: Iterable[Question]) -> Generator[tuple[int, Answer], None, None]:
        """Yield answers as they finish. Closing the generator cancels all requests in flight.

        Questions are taken lazily. Raises EndpointError where the endpoint answers no request.
        """
        return self._rows.stream(questions)

    async def _answer(self, client: "Client", row: "Row", question: Question) -> Answer:
        took: list[Usage] = []
        try:
            reading, completion = await self._read(client, row, question, took)
        except UnreadableAnswer as failure:
            self._spent.add("rows_given_up")
            return Answer(raw=_raw(failure.completion), error=str(failure), **self._cost(took))
        except NoText as failure:
            self._spent.add("rows_given_up")
            filtered = str(failure) if isinstance(failure, WithheldAnswer) else None
            return Answer(filtered=filtered, error=str(failure), **self._cost([*took, failure.usage]))
        return Answer(_raw(completion), reading.verdict, reading.outcome, **self._cost(took))

    async def _read(
        self, client: "Client", row: "Row", question: Question, took: list[Usage]
    ) -> tuple[Reading, Completion]:
        """The verdict and the answer that has it; adds each answer's usage to `took`.

        Raises UnreadableAnswer when the row's attempts are used up.
        """
        failures = 0
        while True:
            completion = await self._asked(client, row, _varied(question.body, failures))
            took.append(completion.usage)
            reading = question.read(completion)
            if reading is not None:
                return reading, completion
            failures += 1
            self._spent.add("parse_failures")
            self._again(row, failures, completion, question.wanted)

    def _again(self, row: "Row", failures: int, completion: Completion, wanted: str) -> None:
        """Use up one of the row's attempts. Raises UnreadableAnswer if it was the last."""
        row.faults += 1
        if row.faults >= self.endpoint.attempts:
            cut = " (cut off)" if completion.finish_reason == "length" else ""
            raise UnreadableAnswer(
                f"no {wanted} in {failures} answers of the judge. The last answer:"
                f" {shortened(completion.text, 200)!r}{cut}",
                completion,
            )
        self._spent.add("retries")

    async def _asked(self, client: "Client", row: "Row", request: dict[str, Any]) -> Completion:
        if "response_format" not in request:
            return await client.ask(row, **request)
        in_words = {name: value for name, value in request.items() if name != "response_format"}
        if self._takes_schema is False:
            return await client.ask(row, **in_words)
        try:
            completion = await client.ask(row, **request)
        except RefusedRequest as refusal:
            if self._takes_schema:
                raise
            return await self._asked_in_words(client, row, in_words, refusal)
        self._takes_schema = True
        return completion

    async def _asked_in_words(
        self, client: "Client", row: "Row", request: dict[str, Any], refusal: RefusedRequest
    ) -> Completion:
        """Ask without `response_format`. If this succeeds, the server refused the `response_format`."""
        completion = await client.ask(row, **request)
        if self._takes_schema is None:
            self._takes_schema = False
            log.warning(
                "%s does not accept response_format; asking for JSON in the prompt only: %s",
                client.health.address,
                refusal,
            )
        return completion

    def _cost(self, took: Iterable[Usage]) -> dict[str, Any]:
        """Tokens and price of some answers, None where the endpoint or the study does not give them."""
        used = total(took)
        return {**asdict(used), "price": used.price(self.endpoint.prices)}


def _varied(request: dict[str, Any], failures: int) -> dict[str, Any]:
    """The request. After failures, it has another seed and a temperature above 0."""
    if failures == 0:
        return request
    temperature = max(request.get("temperature", 0.0), AGAIN_TEMPERATURE)
    return request | {"temperature": temperature, "seed": request["seed"] + failures}


def _raw(completion: Completion) -> str:
    """The answer's text, or its token probabilities if they were requested."""
    probabilities = completion.choice.get("logprobs")
    return completion.text if probabilities is None else json.dumps(probabilities)
