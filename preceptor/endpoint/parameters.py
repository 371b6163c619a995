"""Which parameters an endpoint takes: what it refuses by name is renamed or left out from then on."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import openai

from preceptor.endpoint.errors import shortened
from preceptor.endpoint.hidden import without_key
from preceptor.study.endpoint import Endpoint

log = logging.getLogger(__name__)
UNSUPPORTED = {"unsupported_parameter", "unsupported_value"}
OTHER_NAMES = {"max_tokens": "max_completion_tokens"}  # newer models of OpenAI


class Parameters:
    """What was learned about an endpoint; `optional` are the parameters that it may be asked without."""

    def __init__(self, endpoint: Endpoint, optional: Iterable[str]) -> None:
        self._endpoint = endpoint
        self._address = f"{endpoint.model} at {endpoint.base_url}"
        self._remedies: dict[str, str | None] = dict.fromkeys(optional) | OTHER_NAMES
        self._refused: set[str] = set()

    def accepted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body as the endpoint takes it."""
        names = {name: self._remedies[name] if name in self._refused else name for name in body}
        return {other: body[name] for name, other in names.items() if other is not None}

    def learn(self, error: openai.APIStatusError, sent: Mapping[str, Any]) -> bool:
        """Whether what was sent is worth sending otherwise: it held a parameter that can be spared."""
        name = str(error.param)
        if str(error.code) not in UNSUPPORTED or name not in sent or name not in self._remedies:
            return False
        if name not in self._refused:  # requests in flight are refused too: said once
            self._refused.add(name)
            instead = f"with {self._remedies[name]!r}" if self._remedies[name] else "without it"
            said = shortened(without_key(str(error), self._endpoint))
            log.warning("%s does not take %r; asked %s: %s", self._address, name, instead, said)
        return True
