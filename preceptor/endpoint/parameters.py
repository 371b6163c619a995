"""Which parameters an endpoint takes: what it refuses is renamed or left out, if it answers then.

Servers refuse in words of their own, and their words may quote the row. So a parameter that is not named by
the API's own code is only tried: an answer to the same request without it shows whose fault it was.
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
NAMELESS = ("seed",)  # tried although no word of the refusal names it: rows stay rows without it
BAD_REQUEST = {400, 422}


class Parameters:
    """What was learned about an endpoint; `optional` are the parameters that it may be asked without."""

    def __init__(self, endpoint: Endpoint, optional: Iterable[str]) -> None:
        self._endpoint = endpoint
        self._address = f"{endpoint.model} at {endpoint.base_url}"
        self._remedies: dict[str, str | None] = dict.fromkeys(optional) | OTHER_NAMES
        self._refused: set[str] = set()
        self._taken: set[str] = set()

    def sent(self, body: Mapping[str, Any], tried: Set[str]) -> dict[str, Any]:
        """The body as the endpoint takes it; what is `tried` is renamed or left out too."""
        without = self._refused | tried
        names = {
            name: self._remedies[name] if name in without else name
            for name in body
            if name not in self._endpoint.leave_out
        }
        kept = {other: body[name] for name, other in names.items() if other is not None}
        return kept | self._endpoint.extra_body

    def most_tokens(self, max_tokens: int) -> int:
        """The most tokens that an answer may have, by the request or by what the study adds to it."""
        added = [self._endpoint.extra_body.get(pair) for pairs in OTHER_NAMES.items() for pair in pairs]
        return max([max_tokens, *(most for most in added if isinstance(most, int))])

    def worth_trying(
        self, error: openai.APIStatusError, failure: Exception, said: str, sent: Mapping[str, Any]
    ) -> set[str]:
        """The parameters without which, or under whose other names, the refused request may be answered."""
        spared = self._spared(sent)
        if str(error.code) in UNSUPPORTED:
            return {str(error.param)} & spared
        if error.status_code not in BAD_REQUEST or not isinstance(failure, RefusedRequest):
            return set()
        unknown, named = spared - self._taken, _named(f"{said} {error.param}", sent)
        return unknown & set(named or NAMELESS)

    def learn(self, sent: Mapping[str, Any], tried: Set[str], said: str) -> None:
        """Keep what an answered request shows; `said` is why it was not sent as it first was."""
        self._taken |= sent.keys()
        for name in sorted(tried - self._refused):  # requests in flight learn it too: said once
            self._refused.add(name)
            instead = f"with {self._remedies[name]!r}" if self._remedies[name] else "without it"
            log.warning("%s does not take %r; asked %s: %s", self._address, name, instead, said)

    def _spared(self, sent: Mapping[str, Any]) -> set[str]:
        added = self._endpoint.extra_body
        return {name for name in self._remedies if name in sent and name not in added}


def cure(said: str, sent: Mapping[str, Any], endpoint: Endpoint) -> str:
    """Which of the study's settings may help where an endpoint refuses a request, in a sentence."""
    named = _named(said, sent)
    if not named:
        held = ", ".join(name for name in sent if name not in OURS)
        return f"Sent were {held}: 'leave_out' leaves any of them out, 'extra_body' adds others."
    settings = dict.fromkeys(_setting(name, endpoint) for name in named)
    changes = [f"change {setting!r}" for setting in settings if setting is not None]
    spared = [name for name in named if name not in endpoint.extra_body]
    if spared:
        changes.append(f"leave it out by 'leave_out: [{spared[-1]}]'")
    quoted = " and ".join(repr(name) for name in named)
    return f"It names {quoted}, which this study sends: {', or '.join(changes)}."


def _named(said: str, sent: Iterable[str]) -> list[str]:
    """The parameters of a request that a text names."""
    words = set(re.findall(r"\w+", said))
    return [name for name in sent if name in words and name not in OURS]


def _setting(name: str, endpoint: Endpoint) -> str | None:
    return f"extra_body.{name}" if name in endpoint.extra_body else endpoint.SETTINGS.get(name)
