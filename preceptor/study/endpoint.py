"""An OpenAI-compatible endpoint: where it is, how hard to ask it, and what it costs."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from preceptor.study.fields import (
    Frozen,
    Real,
    Whole,
)

MAY_BE_SECRET = "may_be_secret"  # the kind of error whose message does not repeat what was written


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


class Prices(Frozen):
    """What the endpoint charges per million tokens, in whatever currency the study's readers think in."""

    prompt: Annotated[Real, Field(ge=0)]
    response: Annotated[Real, Field(ge=0)]


class Endpoint(Frozen):
    """`api_key_variable` names the environment variable that holds the key: no study holds a key itself.

    `concurrency` is the most requests at once; how many there really are adapts to the endpoint. Rows are
    known by the address that gave them, or by `served_as` where the address changes from day to day.
    """

    model: Annotated[str, Field(min_length=1)]
    base_url: Annotated[str, AfterValidator(_address)]
    served_as: str | None = None
    api_key_variable: Annotated[str, AfterValidator(_variable)] = "OPENAI_API_KEY"
    concurrency: Annotated[Whole, Field(gt=0, le=4096)] = 64
    timeout_seconds: Annotated[Real, Field(gt=0)] = 600.0
    attempts: Annotated[Whole, Field(gt=0, le=20)] = 6
    prices: Prices | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What rows are known by."""
        return {"model": self.model, "served_by": self.served_as or self.base_url}
