"""A chat completion as it came over the wire, read without trust."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from preceptor.endpoint.errors import Fault, RowError, shortened
from preceptor.endpoint.usage import Usage
from preceptor.text import repair

MOST_TOKENS = 10**9  # that a request can take; a larger count is a mistake of the endpoint's
LONGEST_NUMBER = 40  # digits
CHARACTERS = 256  # of a token at the most: twice the longest of any vocabulary (a run of blanks or dashes)
# Why an answer ended, in the words of other providers than OpenAI; whatever is not here is an end of its own.
CUT = {"length", "max_tokens", "max_completion_tokens", "max_output_tokens", "max_length", "model_length"}
WITHHELD = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}
BROKEN = {"error", "abort", "cancelled", "insufficient_system_resource", "network_error"}
THOUGHTS = {"reasoning", "reasoning_content"}
Hide = Callable[[Any], Any]  # takes the key out of a text, or out of all texts of a JSON value


class NoText(RowError):
    """The model worked, but no text of it came that can be kept; `usage` is what that took."""

    def __init__(self, text: str, usage: Usage) -> None:
        super().__init__(text)
        self.usage = usage


class WithheldAnswer(NoText):
    """The answer was filtered or is a refusal."""


class OutOfTokens(NoText):
    """The model used up its tokens before it wrote any text."""


class TooLong(NoText):
    """The answer is longer than the most tokens that were asked for can be."""


@dataclass(frozen=True)
class Completion:
    """What the model said, why it ended (`stop` or `length`), and what that took.

    `choice` is the whole of what came, token probabilities included where they were asked for.
    """

    text: str
    finish_reason: str
    usage: Usage
    choice: dict[str, Any] = field(default_factory=dict)


def parsed(body: bytes, hide: Hide) -> dict[str, Any]:
    """The JSON object of a response without the key; a cut or foreign one, or no text, raises Fault.

    Numbers that no JSON number can be, or with more digits than anything is counted in, are null.
    """
    text = decoded(body)
    try:
        body.decode(encoding := json.detect_encoding(body))
    except UnicodeDecodeError as error:  # each such byte would be a lost letter of an answer
        raise Fault(
            f"the answer is not {encoding}, as JSON is (byte {error.start:,}): {_start(hide(text))}"
        ) from None
    try:
        data = hide(json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_no_number))
    except (ValueError, RecursionError):
        raise Fault(f"the answer is not whole JSON: {_start(hide(text))}") from None
    if not isinstance(data, dict):
        raise Fault(f"the answer is not a JSON object: {_start(hide(text))}")
    return data


def decoded(body: bytes) -> str:
    """The body's text in whichever of JSON's encodings it is; bytes that are no text become U+FFFD."""
    return body.decode(json.detect_encoding(body), errors="replace")


def read_usage(data: dict[str, Any]) -> Usage:
    """The token counts of a response; what is no whole number that can be one is not known.

    Every prompt has a token: a server that says 0 does not count, answers neither.
    """
    usage = _object(data.get("usage"))
    prompt, response = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Usage(None, None) if prompt == 0 else Usage(prompt, response)


def read_completion(data: dict[str, Any], max_tokens: int, tools: bool = False) -> Completion:
    """The first choice. Raises Fault where there is none, WithheldAnswer where it was filtered or refused.

    Raises OutOfTokens where a model that thinks first came to no text, and TooLong for one that no
    `max_tokens` tokens can make. Where token probabilities were asked for these are the answer, with text or
    without. A function's arguments are the answer where the request offers `tools`.
    """
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices:
        problem = data.get("error")
        raise Fault("the answer has no choices" + (f": {shortened(str(problem))}" if problem else ""))
    choice, usage = _object(choices[0]), read_usage(data)
    message, ended = _object(choice.get("message")), str(choice.get("finish_reason")).lower()
    if ended in BROKEN:
        raise Fault(f"the answer broke off (finish_reason {ended!r})")
    if ended in WITHHELD:
        raise WithheldAnswer("the endpoint's content filter withheld the response", usage)
    if message.get("refusal"):
        raise WithheldAnswer(f"the model refused: {shortened(str(message['refusal']))}", usage)
    text = (_called(message) if tools else None) or _content(message.get("content"))
    if text is None and choice.get("logprobs"):
        text = ""
    if not text and not choice.get("logprobs") and ended in CUT:
        raise OutOfTokens(
            "the model used up its tokens before it wrote any text: one that thinks first needs more"
            " ('max_new_tokens' of a teacher, 'max_tokens' of a judge or in its annotator's configuration)",
            usage,
        )
    if text is None:
        thought = "a thought and " if THOUGHTS & {name for name, said in message.items() if said} else ""
        raise Fault(f"the answer has {thought}no text (finish_reason {shortened(ended, 40)!r})")
    _refuse_too_long(text, max_tokens, usage)
    return Completion(repair(text), "length" if ended in CUT else "stop", usage, choice)


def _refuse_too_long(text: str, max_tokens: int, usage: Usage) -> None:
    most = CHARACTERS * (max_tokens + 4)
    if len(text) > most:
        raise TooLong(
            f"the answer has {len(text):,} characters, more than {max_tokens:,} tokens can be: the server"
            " does not keep to what it is told ('max_new_tokens' of a teacher, 'max_tokens' of a judge)",
            usage,
        )


def _content(content: object) -> str | None:
    """The text, or the texts of its parts; a part may be a thought or a picture instead."""
    if isinstance(content, list):
        parts = [_object(part) for part in content]
        texts = [
            part["text"]
            for part in parts
            if part.get("type") in ("text", "output_text", None) and isinstance(part.get("text"), str)
        ]
        return "".join(texts) if texts else None
    return content if isinstance(content, str) else None


def _called(message: dict[str, Any]) -> str | None:
    """The arguments of the function that the model called: JSON, the only thing that a judge is asked for."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return None
    arguments = _object(_object(calls[0]).get("function")).get("arguments")
    return arguments if isinstance(arguments, str) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_NUMBER else None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _no_number(name: str) -> None:
    """NaN and infinities are no JSON."""


def _start(text: str) -> str:
    return repr(shortened(text, 100))
