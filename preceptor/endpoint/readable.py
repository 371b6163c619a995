"""Answers that can be read: asked for again, with another seed, where one cannot be."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from preceptor.endpoint.errors import RefusedRequest, RowError, shortened

if TYPE_CHECKING:
    from preceptor.endpoint.client import Client, Row
    from preceptor.endpoint.completion import Completion
    from preceptor.endpoint.spent import Spent

log = logging.getLogger(__name__)
OPTIONAL = {"temperature", "seed"}  # models that think first often take neither
AGAIN_TEMPERATURE = 0.5  # at 0 the same words would come back, whatever the seed
Found = TypeVar("Found")


class UnreadableAnswer(RowError):
    """No answer could be read; `completion` is the last of them."""

    def __init__(self, text: str, completion: "Completion") -> None:
        super().__init__(text)
        self.completion = completion


@dataclass(frozen=True)
class Wanted(Generic[Found]):
    """How an answer is read (None where it cannot be), and what it is called in an error."""

    read: Callable[["Completion"], Found | None]
    name: str


class ReadableAnswers:
    """Asks a judge until its answer can be read, or until the row's attempts are used up.

    It asks for JSON where the request has a `response_format`, and in words only from a server that refuses
    one.
    """

    def __init__(self, attempts: int, spent: "Spent") -> None:
        self._attempts = attempts
        self._spent = spent
        self._spent.add("parse_failures", 0)
        self._takes_schema: bool | None = None  # not known yet

    async def ask(
        self, client: "Client", row: "Row", request: dict[str, Any], wanted: Wanted[Found]
    ) -> tuple[Found, "Completion"]:
        """What was read, and the answer that it was read in; raises UnreadableAnswer where none could be."""
        failures = 0
        while True:
            completion = await self._asked(client, row, _varied(request, failures))
            found = wanted.read(completion)
            if found is not None:
                return found, completion
            failures += 1
            self._spent.add("parse_failures")
            self._again(row, failures, completion, wanted.name)

    def _again(self, row: "Row", failures: int, completion: "Completion", wanted: str) -> None:
        """Use up one of the row's attempts; raises UnreadableAnswer where it was the last."""
        row.faults += 1
        if row.faults >= self._attempts:
            cut = " and was cut there" if completion.finish_reason == "length" else ""
            raise UnreadableAnswer(
                f"no {wanted} in {failures} answers of the judge; the last said"
                f" {shortened(completion.text, 200)!r}{cut}",
                completion,
            )
        self._spent.add("retries")

    async def _asked(self, client: "Client", row: "Row", request: dict[str, Any]) -> "Completion":
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
    ) -> "Completion":
        """Only if this works was `response_format` what the server refused."""
        completion = await client.ask(row, **request)
        if self._takes_schema is None:
            self._takes_schema = False
            log.warning(
                "%s takes no response_format; asked for JSON in words: %s", client.health.address, refusal
            )
        return completion


def _varied(request: dict[str, Any], failures: int) -> dict[str, Any]:
    """The request as it is, and after failures with other seeds and never greedy."""
    if failures == 0:
        return request
    temperature = max(request.get("temperature", 0.0), AGAIN_TEMPERATURE)
    return request | {"temperature": temperature, "seed": request["seed"] + failures}
