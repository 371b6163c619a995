"""Parses chat completions. Every field is validated, because servers deviate from the API."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from preceptor.endpoint.errors import Fault, RowError, shortened
from preceptor.endpoint.usage import Usage
from preceptor.text import repair

MOST_TOKENS = 10**9  # per request; a larger count is the endpoint's mistake
LONGEST_NUMBER = 40  # digits
CHARACTERS = 256  # per token at most: twice the longest token of any vocabulary (a run of blanks or dashes)
# Finish reasons of OpenAI and other providers. Any other reason counts as "stop".
CUT = {"length", "max_tokens", "max_completion_tokens", "max_output_tokens", "max_length", "model_length"}
WITHHELD = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}
BROKEN = {"error", "abort", "cancelled", "insufficient_system_resource", "network_error"}
THOUGHTS = {"reasoning", "reasoning_content"}
Hide = Callable[[Any], Any]  # removes the key from a text, or from all texts of a JSON value


class NoText(RowError):
    """The model answered, but without usable text. `usage` counts the tokens that it took."""

    def __init__(self, text: str, usage: Usage) -> None:
        super().__init__(text)
        self.usage = usage


class WithheldAnswer(NoText):
    """The answer was filtered, or the model refused."""


class OutOfTokens(NoText):
    """The model used up its tokens before it wrote any text."""


class TooLong(NoText):
    """The answer has more characters than the requested tokens can have."""


@dataclass(frozen=True)
class Completion:
    """The model's text, why it ended (`stop` or `length`), and its token counts.

    `choice` is the complete choice of the response, with token probabilities if they were requested.
    """

    text: str
    finish_reason: str
    usage: Usage
    choice: dict[str, Any] = field(default_factory=dict)


def parsed(body: bytes, hide: Hide) -> dict[str, Any]:
    """The JSON object of a response, with the key removed.

    NaN, infinities and numbers with more than LONGEST_NUMBER digits become None.
    Raises Fault for invalid text, for invalid or truncated JSON, and for JSON that is not an object.
    """
    text = decoded(body)
    try:
        body.decode(encoding := json.detect_encoding(body))
    except UnicodeDecodeError as error:  # replacing such bytes would lose letters of the answer
        raise Fault(
            f"the answer is not valid {encoding} (byte {error.start:,}): {_start(hide(text))}"
        ) from None
    try:
        data = hide(json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_no_number))
    except (ValueError, RecursionError):
        raise Fault(f"the answer is not valid JSON: {_start(hide(text))}") from None
    if not isinstance(data, dict):
        raise Fault(f"the answer is not a JSON object: {_start(hide(text))}")
    return data


def decoded(body: bytes) -> str:
    """The body as text, in the detected JSON encoding. Invalid bytes become U+FFFD."""
    return body.decode(json.detect_encoding(body), errors="replace")


def read_usage(data: dict[str, Any]) -> Usage:
    """The token counts of a response. Anything but a whole number from 0 to MOST_TOKENS becomes None.

    Every prompt has a token. A server that reports 0 does not count, so both counts become None.
    """
    usage = _object(data.get("usage"))
    prompt, response = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Usage(None, None) if prompt == 0 else Usage(prompt, response)


def read_completion(data: dict[str, Any], max_tokens: int, tools: bool = False) -> Completion:
    """The first choice of a response.

    Where token probabilities were requested, an answer without text is valid. Where the request offers
    `tools`, the arguments of the called function are the answer.

    Raises Fault where there is no choice, WithheldAnswer where it was filtered or refused, OutOfTokens where
    a reasoning model ended before its text, and TooLong for a text that `max_tokens` tokens cannot hold.
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
            "the model used up its tokens before it wrote any text. A reasoning model needs more: raise"
            " 'max_new_tokens' of a teacher, or 'max_tokens' of a judge or in its annotator's configuration",
            usage,
        )
    if text is None:
        reasoning = "reasoning but " if THOUGHTS & {name for name, value in message.items() if value} else ""
        raise Fault(f"the answer has {reasoning}no text (finish_reason {shortened(ended, 40)!r})")
    _refuse_too_long(text, max_tokens, usage)
    return Completion(repair(text), "length" if ended in CUT else "stop", usage, choice)


def _refuse_too_long(text: str, max_tokens: int, usage: Usage) -> None:
    most = CHARACTERS * (max_tokens + 4)
    if len(text) > most:
        raise TooLong(
            f"the answer has {len(text):,} characters, more than {max_tokens:,} tokens can have: the server"
            " ignores the token limit ('max_new_tokens' of a teacher, 'max_tokens' of a judge)",
            usage,
        )


def _content(content: object) -> str | None:
    """The text, or its text parts joined. Other parts (reasoning, images) are skipped."""
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
    """The arguments (JSON) of the function that the model called."""
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
    """Replace NaN and infinities, which JSON does not allow, by None."""


def _start(text: str) -> str:
    return repr(shortened(text, 100))
