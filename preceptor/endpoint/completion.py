"""A chat completion as it came over the wire, read without trust."""

import json
from dataclasses import dataclass, field
from typing import Any

from preceptor.endpoint.errors import Fault, OutOfTokens, WithheldAnswer, shortened


@dataclass(frozen=True)
class Usage:
    """Tokens that the endpoint says a request took; None where it does not say."""

    prompt_tokens: int | None
    response_tokens: int | None


@dataclass(frozen=True)
class Completion:
    """What the model said, why it ended (`stop` or `length`), and what that took.

    `choice` is the whole of what came, token probabilities included where they were asked for.
    """

    text: str
    finish_reason: str
    usage: Usage
    choice: dict[str, Any] = field(default_factory=dict)


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a response; a cut or foreign one raises Fault."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Fault(f"the answer is not whole JSON: {_start(body)}") from None
    if not isinstance(data, dict):
        raise Fault(f"the answer is not a JSON object: {_start(body)}")
    return data


def read_usage(data: dict[str, Any]) -> Usage:
    """The token counts of a response."""
    usage = _object(data.get("usage"))
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def read_completion(data: dict[str, Any]) -> Completion:
    """The first choice. Raises Fault where there is none, WithheldAnswer where it was filtered or refused.

    Raises OutOfTokens where a model that thinks first came to no text. Where token probabilities were asked
    for these are the answer, with text or without.
    """
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        problem = data.get("error")
        raise Fault("the answer has no choices" + (f": {shortened(str(problem))}" if problem else ""))
    choice, usage = _object(choices[0]), read_usage(data)
    message = _object(choice.get("message"))
    if choice.get("finish_reason") == "content_filter":
        raise WithheldAnswer("the endpoint's content filter withheld the response", usage)
    if message.get("refusal"):
        raise WithheldAnswer(f"the model refused: {shortened(str(message['refusal']))}", usage)
    text = _called(message) or message.get("content")
    if text is None and choice.get("logprobs"):
        text = ""
    if not text and not choice.get("logprobs") and choice.get("finish_reason") == "length":
        raise OutOfTokens(
            "the model used up its tokens before it wrote any text: one that thinks first needs more"
            " ('max_new_tokens' of a teacher, 'max_tokens' of a judge or in its annotator's configuration)",
            usage,
        )
    if not isinstance(text, str):
        raise Fault(f"the answer has no text (finish_reason {choice.get('finish_reason')!r})")
    finish = "length" if choice.get("finish_reason") == "length" else "stop"
    return Completion(text, finish, usage, choice)


def _called(message: dict[str, Any]) -> str | None:
    """The arguments of the function that the model called: JSON, the only thing that one is asked for."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return None
    arguments = _object(_object(calls[0]).get("function")).get("arguments")
    return arguments if isinstance(arguments, str) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _start(body: bytes) -> str:
    return repr(shortened(body.decode(errors="replace"), 100))
