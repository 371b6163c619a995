"""An OpenAI-compatible endpoint: its address, load limits, request parameters and prices."""

import os
import re
from collections.abc import Mapping, Set
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from preceptor.study.fields import Frozen, Real, Whole

MAY_BE_SECRET = "may_be_secret"  # an error of this type does not repeat the value
SHORTEST_KEY = 8  # characters; a shorter text is not a secret and is part of many words
OURS = {  # parameters that Preceptor sets in every request, with the reason
    "model": "set 'model' instead",
    "messages": "they are the instructions",
    "stream": "responses are not streamed",
    "stream_options": "responses are not streamed",
    "n": "each response is a separate request with its own seed",
}


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("an endpoint's address must start with http:// or https://, and usually ends in /v1")
    if "@" in value or "?" in value:
        raise PydanticCustomError(
            MAY_BE_SECRET,
            "an endpoint's address must not contain a user, key or query, because a study is stored with its"
            " results. Put the key in the environment variable that 'api_key_variable' names",
        )
    return value.rstrip("/")


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", value):
        raise PydanticCustomError(
            MAY_BE_SECRET,
            "must be the name of an environment variable (capitals, digits, '_'), not the key itself",
        )
    return value


def _additions(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name, why in OURS.items():
        if name in value:
            raise ValueError(f"{name!r} must not be in 'extra_body': {why}")
    return value


class Prices(Frozen):
    """The endpoint's prices per million tokens, in any currency."""

    prompt: Annotated[Real, Field(ge=0)]
    response: Annotated[Real, Field(ge=0)]


class Endpoint(Frozen):
    """`api_key_variable` names the environment variable with the key; a study never contains a key.

    `concurrency` is the maximum number of requests at once; the actual number adapts to the endpoint. The
    address is part of a row's identity; `served_as` replaces it if the address changes often. `leave_out`
    removes parameters from requests, `extra_body` adds others.
    """

    # The parameters of a request, and the study's settings that some of them come from.
    PARAMETERS: ClassVar[Set[str]] = frozenset({"temperature", "max_tokens", "seed", "response_format"})
    SETTINGS: ClassVar[Mapping[str, str]] = {"seed": "seed"}

    model: Annotated[str, Field(min_length=1)]
    """The model's name at the endpoint."""
    base_url: Annotated[str, AfterValidator(_address)]
    """The endpoint's address, usually ending in /v1."""
    served_as: str | None = None
    """Replaces the address in the identity of rows, if the address changes."""
    api_key_variable: Annotated[str, AfterValidator(_variable)] = "OPENAI_API_KEY"
    """The name of the environment variable with the key."""
    concurrency: Annotated[Whole, Field(gt=0, le=4096)] = 64
    """The maximum number of requests at once."""
    timeout_seconds: Annotated[Real, Field(gt=0, le=86_400)] = 600.0
    """The timeout of a request."""
    attempts: Annotated[Whole, Field(gt=0, le=20)] = 6
    """The maximum number of attempts per request."""
    prices: Prices | None = None
    """Prices per million tokens."""
    leave_out: tuple[str, ...] = ()
    """Parameters that are not sent to the endpoint."""
    extra_body: Annotated[dict[str, JsonValue], AfterValidator(_additions)] = Field(default_factory=dict)
    """Additional parameters of every request."""

    @property
    def identity(self) -> dict[str, Any]:
        """The endpoint's part of the identity of rows."""
        known: dict[str, Any] = {"model": self.model, "served_by": self.served_as or self.base_url}
        if self.leave_out:
            known["leave_out"] = sorted(set(self.leave_out))
        if self.extra_body:
            known["extra_body"] = self.extra_body
        return known

    @property
    def given(self) -> set[str]:
        """The parameters that the study sets by their own settings."""
        return self.model_fields_set & self.SETTINGS.keys()

    @model_validator(mode="after")
    def _parameters_are_clear(self) -> Self:
        for name in self.leave_out:
            if name not in self.PARAMETERS:
                sent = ", ".join(sorted(self.PARAMETERS))
                raise ValueError(f"leave_out: {name!r} is never sent; parameters that may be sent are {sent}")
        for name in self.extra_body:
            if name in self.leave_out:
                raise ValueError(f"{name!r} is in both 'leave_out' and 'extra_body': remove it from one")
            if name in self.given:
                setting = self.SETTINGS[name]
                raise ValueError(f"{name!r} is set twice, by {setting!r} and in 'extra_body': keep one")
        return self

    @model_validator(mode="after")
    def _holds_no_key(self) -> Self:
        key = os.environ.get(self.api_key_variable, "").strip()
        words = [self.base_url, self.model, self.served_as or "", *_texts(self.extra_body)]
        if len(key) >= SHORTEST_KEY and any(key in text for word in words for text in (word, unquote(word))):
            raise PydanticCustomError(
                MAY_BE_SECRET,
                "'base_url', 'model', 'served_as' or 'extra_body' contains the key: remove it, because a"
                " study is stored with its results. Keep the key in the environment variable that"
                " 'api_key_variable' names",
            )
        return self


def _texts(value: JsonValue) -> list[str]:
    """Every text in the value, including keys."""
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _texts(item)]
        case dict():
            return [*value, *(text for item in value.values() for text in _texts(item))]
    return []
