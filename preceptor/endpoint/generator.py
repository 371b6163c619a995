"""Responses from a teacher behind an OpenAI-compatible endpoint."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from preceptor.compute.answering import before_stop_text
from preceptor.compute.conversation import Conversation
from preceptor.compute.request import Decoding, Generation, Request, ending
from preceptor.endpoint.client import Client, Row
from preceptor.endpoint.completion import Completion
from preceptor.endpoint.rows import Rows
from preceptor.endpoint.usage import Spent, total
from preceptor.study.teachers import OpenAITeacher

OPTIONAL = {"seed"}  # the study sets all other parameters, so they must not be left out
Stream = Generator[tuple[int, Generation], None, None]


class EndpointGenerator:
    """Asks a teacher over HTTP, many rows at once. Each turn follows the teacher's earlier answers."""

    def __init__(self, teacher: OpenAITeacher, decoding: Decoding) -> None:
        self.teacher = teacher
        self.decoding = decoding
        spent = Spent(teacher.prices)
        self.facts = spent.facts
        self._stream: Stream | None = None
        self._rows = Rows(teacher, self._answer, lambda error: Generation(error=error), spent, OPTIONAL)

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Generation]]:
        """Yield answers as they finish. Closing the generator cancels all requests in flight.

        Raises EndpointError where the endpoint answers no request.
        """
        self.close()
        self._stream = self._rows.stream(requests)
        return self._stream

    def close(self) -> None:
        """End the stream and cancel all requests in flight."""
        if self._stream is not None:
            self._stream.close()

    async def _answer(self, client: Client, row: Row, request: Request) -> Generation:
        completions: list[Completion] = []
        for turn in range(len(request.user)):
            answers = tuple(completion.text for completion in completions)
            messages = Conversation(request.system, request.user, answers).messages(turn + 1, turn)
            seed = request.seed_of(turn)
            completion = await client.ask(row, messages=messages, seed=seed, **self._parameters())
            completions.append(self._before_stop_text(completion))
        return _generation(completions)

    def _before_stop_text(self, completion: Completion) -> Completion:
        """Cut the completion before the stop text, because some servers keep it or ignore `stop`."""
        text = before_stop_text(completion.text, self.decoding.stop)
        if text == completion.text:
            return completion
        return replace(completion, text=text, finish_reason="stop")

    def _parameters(self) -> dict[str, Any]:
        decoding = self.decoding
        parameters: dict[str, Any] = {
            "temperature": decoding.temperature,
            "max_tokens": decoding.max_new_tokens,
        }
        if decoding.top_p < 1 or "top_p" in self.teacher.given:
            parameters["top_p"] = decoding.top_p  # some servers refuse it together with a temperature
        if decoding.stop:
            parameters["stop"] = list(decoding.stop)
        if decoding.top_k > 0:
            parameters["top_k"] = decoding.top_k  # not in the API, but most servers support it
        return parameters


def _generation(completions: list[Completion]) -> Generation:
    took = total(completion.usage for completion in completions)
    return Generation(
        turns=tuple(completion.text for completion in completions),
        finish_reason=ending(completion.finish_reason for completion in completions),
        prompt_tokens=took.prompt_tokens,
        response_tokens=took.response_tokens,
    )
