"""Learns which parameters an endpoint accepts. Refused ones are renamed or left out if that helps.

Servers word refusals differently, and their message may quote the row. So unless the API's own error code
names the parameter, leaving it out is an experiment: if the same request is answered without the parameter,
the parameter was the cause.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import openai

from preceptor.endpoint.errors import RefusedRequest
from preceptor.study.endpoint import OURS, Endpoint

log = logging.getLogger(__name__)
UNSUPPORTED = {"unsupported_parameter", "unsupported_value"}
OTHER_NAMES = {"max_tokens": "max_completion_tokens"}  # newer models of OpenAI
NAMELESS = ("seed",)  # left out even if the refusal does not name it: answers stay valid without it
BAD_REQUEST = {400, 422}


class Parameters:
    """What was learned about an endpoint; `optional` names the parameters that may be left out."""

    def __init__(self, endpoint: Endpoint, optional: Iterable[str]) -> None:
        self._endpoint = endpoint
        self._address = f"{endpoint.model} at {endpoint.base_url}"
        self._remedies: dict[str, str | None] = dict.fromkeys(optional) | OTHER_NAMES
        self._refused: set[str] = set()
        self._taken: set[str] = set()

    def sent(self, body: Mapping[str, Any], tried: Set[str]) -> dict[str, Any]:
        """The body that the endpoint accepts; parameters in `tried` are renamed or left out too."""
        without = self._refused | tried
        names = {
            name: self._remedies[name] if name in without else name
            for name in body
            if name not in self._endpoint.leave_out
        }
        kept = {other: body[name] for name, other in names.items() if other is not None}
        return kept | self._endpoint.extra_body

    def most_tokens(self, max_tokens: int) -> int:
        """The most tokens that an answer may have, by the request or by the study's `extra_body`."""
        added = [self._endpoint.extra_body.get(pair) for pairs in OTHER_NAMES.items() for pair in pairs]
        return max([max_tokens, *(most for most in added if isinstance(most, int))])

    def worth_trying(
        self, error: openai.APIStatusError, failure: Exception, said: str, sent: Mapping[str, Any]
    ) -> set[str]:
        """The parameters to rename or leave out so that the refused request may be answered."""
        spared = self._spared(sent)
        if str(error.code) in UNSUPPORTED:
            return {str(error.param)} & spared
        if error.status_code not in BAD_REQUEST or not isinstance(failure, RefusedRequest):
            return set()
        unknown, named = spared - self._taken, _named(f"{said} {error.param}", sent)
        return unknown & set(named or NAMELESS)

    def learn(self, sent: Mapping[str, Any], tried: Set[str], said: str) -> None:
        """Store what an answered request shows; `said` is the endpoint's reason for refusing `tried`."""
        self._taken |= sent.keys()
        for name in sorted(tried - self._refused):  # other requests in flight learn it too: log it once
            self._refused.add(name)
            instead = f"using {self._remedies[name]!r} instead" if self._remedies[name] else "leaving it out"
            log.warning("%s does not accept %r, %s: %s", self._address, name, instead, said)

    def _spared(self, sent: Mapping[str, Any]) -> set[str]:
        added = self._endpoint.extra_body
        return {name for name in self._remedies if name in sent and name not in added}


def cure(said: str, sent: Mapping[str, Any], endpoint: Endpoint) -> str:
    """A sentence that names the study's settings to change after an endpoint refused a request."""
    named = _named(said, sent)
    if not named:
        held = ", ".join(name for name in sent if name not in OURS)
        return f"The request had {held}. Use 'leave_out' to omit any of them, 'extra_body' to add others."
    settings = dict.fromkeys(_setting(name, endpoint) for name in named)
    changes = [f"change {setting!r}" for setting in settings if setting is not None]
    spared = [name for name in named if name not in endpoint.extra_body]
    if spared:
        changes.append(f"omit it with 'leave_out: [{spared[-1]}]'")
    quoted = " and ".join(repr(name) for name in named)
    return f"The refusal names {quoted}, which this study sends: {', or '.join(changes)}."


def _named(said: str, sent: Iterable[str]) -> list[str]:
    """The parameters of a request that a text mentions."""
    words = set(re.findall(r"\w+", said))
    return [name for name in sent if name in words and name not in OURS]


def _setting(name: str, endpoint: Endpoint) -> str | None:
    return f"extra_body.{name}" if name in endpoint.extra_body else endpoint.SETTINGS.get(name)
