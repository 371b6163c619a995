"""An OpenAI-compatible endpoint: where it is, how hard to ask it, what it is sent, and what it costs."""

import os
import re
from collections.abc import Mapping, Set
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from preceptor.study.fields import Frozen, Real, Whole

MAY_BE_SECRET = "may_be_secret"  # the kind of error whose message does not repeat what was written
SHORTEST_KEY = 8  # characters; a shorter one is no secret, and its letters are in many a word
OURS = {  # of every request, and why no study says it
    "model": "it is 'model'",
    "messages": "they are the instructions",
    "stream": "answers are read whole",
    "stream_options": "answers are read whole",
    "n": "each answer is asked for by itself, with its own seed",
}


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("an endpoint's address begins with http:// or https://, and usually ends in /v1")
    if "@" in value or "?" in value:
        raise PydanticCustomError(
            MAY_BE_SECRET,
            "an endpoint's address holds no user, key or query: a study is kept with its results. Put the key"
            " into the environment variable that 'api_key_variable' names",
        )
    return value.rstrip("/")


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", value):
        raise PydanticCustomError(
            MAY_BE_SECRET,
            "this is the *name* of an environment variable (capitals, digits, '_'), not the key itself",
        )
    return value


def _additions(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name, why in OURS.items():
        if name in value:
            raise ValueError(f"{name!r} cannot be added to a request: {why}")
    return value


class Prices(Frozen):
    """What the endpoint charges per million tokens, in whatever currency the study's readers think in."""

    prompt: Annotated[Real, Field(ge=0)]
    response: Annotated[Real, Field(ge=0)]


class Endpoint(Frozen):
    """`api_key_variable` names the environment variable that holds the key: no study holds a key itself.

    `concurrency` is the most requests at once; how many there really are adapts to the endpoint. Rows are
    known by the address that gave them, or by `served_as` where the address changes from day to day.
    `leave_out` names parameters that this endpoint is not sent, `extra_body` holds others that it is.
    """

    # The parameters that a request may hold, and the study's settings that some of them come from.
    PARAMETERS: ClassVar[Set[str]] = frozenset({"temperature", "max_tokens", "seed", "response_format"})
    SETTINGS: ClassVar[Mapping[str, str]] = {"seed": "seed"}

    model: Annotated[str, Field(min_length=1)]
    """The model's name at the endpoint."""
    base_url: Annotated[str, AfterValidator(_address)]
    """The endpoint's address, usually ending in /v1."""
    served_as: str | None = None
    """What rows are known by, where the address changes."""
    api_key_variable: Annotated[str, AfterValidator(_variable)] = "OPENAI_API_KEY"
    """The name of the environment variable that holds the key."""
    concurrency: Annotated[Whole, Field(gt=0, le=4096)] = 64
    """The most requests at once."""
    timeout_seconds: Annotated[Real, Field(gt=0, le=86_400)] = 600.0
    """How long to wait for an answer."""
    attempts: Annotated[Whole, Field(gt=0, le=20)] = 6
    """How often to try a request."""
    prices: Prices | None = None
    """What a million tokens cost."""
    leave_out: tuple[str, ...] = ()
    """Parameters that the endpoint is not sent."""
    extra_body: Annotated[dict[str, JsonValue], AfterValidator(_additions)] = Field(default_factory=dict)
    """Other parameters that it is sent."""

    @property
    def identity(self) -> dict[str, Any]:
        """What rows are known by."""
        known: dict[str, Any] = {"model": self.model, "served_by": self.served_as or self.base_url}
        if self.leave_out:
            known["leave_out"] = sorted(set(self.leave_out))
        if self.extra_body:
            known["extra_body"] = self.extra_body
        return known

    @property
    def given(self) -> set[str]:
        """The parameters that the study sets by a setting of their own."""
        return self.model_fields_set & self.SETTINGS.keys()

    @model_validator(mode="after")
    def _parameters_are_clear(self) -> Self:
        for name in self.leave_out:
            if name not in self.PARAMETERS:
                sent = ", ".join(sorted(self.PARAMETERS))
                raise ValueError(f"leave_out: {name!r} is never sent; what may be sent is {sent}")
        for name in self.extra_body:
            if name in self.leave_out:
                raise ValueError(f"{name!r} stands in 'leave_out' and in 'extra_body': take it out of one")
            if name in self.given:
                setting = self.SETTINGS[name]
                raise ValueError(f"{name!r} is said twice, by {setting!r} and in 'extra_body': keep one")
        return self

    @model_validator(mode="after")
    def _holds_no_key(self) -> Self:
        key = os.environ.get(self.api_key_variable, "").strip()
        words = [self.base_url, self.model, self.served_as or "", *_texts(self.extra_body)]
        if len(key) >= SHORTEST_KEY and any(key in text for word in words for text in (word, unquote(word))):
            raise PydanticCustomError(
                MAY_BE_SECRET,
                "the key stands in 'base_url', 'model', 'served_as' or 'extra_body': a study is kept with its"
                " results. Leave it in the environment variable that 'api_key_variable' names",
            )
        return self


def _texts(value: JsonValue) -> list[str]:
    """Every text in it, names too."""
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _texts(item)]
        case dict():
            return [*value, *(text for item in value.values() for text in _texts(item))]
    return []
