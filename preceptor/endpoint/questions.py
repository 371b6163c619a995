"""Questions to a judge behind an endpoint: each gets a verdict, or the reason why there is none."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preceptor.study.judges import AskedJudge

if TYPE_CHECKING:
    from preceptor.endpoint.client import Client, Row
    from preceptor.endpoint.completion import Completion, Usage


@dataclass(frozen=True)
class Reading:
    """A verdict as the judge's answer says it, and its outcome for the response that is judged."""

    verdict: str
    outcome: float


@dataclass(frozen=True)
class Question:
    """The body of a request (without the model), and how its answer is read; `wanted` names what is read."""

    body: dict[str, Any]
    read: Callable[["Completion"], Reading | None]
    wanted: str = "verdict"


@dataclass(frozen=True)
class Answer:
    """What a judge said to a question, and how that was read; `error` says why there is no verdict.

    `filtered` repeats the error where an endpoint's filter or the model's refusal is to blame. Tokens and
    price are those of all its answers, unreadable ones too.
    """

    raw: str | None = None
    verdict: str | None = None
    outcome: float | None = None
    prompt_tokens: int | None = None
    response_tokens: int | None = None
    price: float | None = None
    filtered: str | None = None
    error: str | None = None


class QuestionedJudge:
    """A judge that is asked over HTTP, many questions at once. `facts` says what that took."""

    def __init__(self, judge: AskedJudge) -> None:
        from preceptor.endpoint.readable import OPTIONAL, ReadableAnswers
        from preceptor.endpoint.rows import Rows
        from preceptor.endpoint.spent import Spent

        self.judge = judge
        self._spent = Spent(judge.prices)
        self.facts = self._spent.facts
        self._answers = ReadableAnswers(judge.attempts, self._spent)
        self._rows = Rows(judge, self._answer, lambda error: Answer(error=error), self._spent, OPTIONAL)

    def stream(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Answers as they come; closing the generator cancels what is in flight.

        Raises EndpointError where nobody would be answered.
        """
        return self._rows.stream(questions)

    async def _answer(self, client: "Client", row: "Row", question: Question) -> Answer:
        from preceptor.endpoint.errors import NoText, WithheldAnswer
        from preceptor.endpoint.readable import UnreadableAnswer, Wanted

        took: list[Usage] = []

        def read(completion: "Completion") -> Reading | None:
            took.append(completion.usage)
            return question.read(completion)

        try:
            reading, said = await self._answers.ask(client, row, question.body, Wanted(read, question.wanted))
        except UnreadableAnswer as failure:
            self._spent.add("rows_given_up")
            return Answer(raw=_raw(failure.completion), error=str(failure), **self._cost(took))
        except NoText as failure:
            self._spent.add("rows_given_up")
            filtered = str(failure) if isinstance(failure, WithheldAnswer) else None
            return Answer(filtered=filtered, error=str(failure), **self._cost([*took, failure.usage]))
        return Answer(_raw(said), reading.verdict, reading.outcome, **self._cost(took))

    def _cost(self, took: Sequence["Usage"]) -> dict[str, Any]:
        """Tokens and price of some answers, null where the endpoint or the study does not say one."""
        prompt = _sum([usage.prompt_tokens for usage in took])
        response = _sum([usage.response_tokens for usage in took])
        prices, price = self.judge.prices, None
        if prices is not None and prompt is not None and response is not None:
            price = (prompt * prices.prompt + response * prices.response) / 1e6
        return {"prompt_tokens": prompt, "response_tokens": response, "price": price}


def _raw(completion: "Completion") -> str:
    """The answer's text, its token probabilities instead where they were asked for."""
    probabilities = completion.choice.get("logprobs")
    return completion.text if probabilities is None else json.dumps(probabilities)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
