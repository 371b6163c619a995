"""Classifies failed requests: who is at fault, how long to wait, and whether the endpoint works at all."""

import math
import random
import re
import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Any

import httpx2
import openai

from preceptor.endpoint.completion import decoded
from preceptor.endpoint.errors import EndpointError, Fault, RefusedRequest, shortened
from preceptor.endpoint.hidden import data_without_key, without_key
from preceptor.endpoint.parameters import UNSUPPORTED, cure
from preceptor.study.endpoint import Endpoint

OVERLOADED = {429, 503, 504, 529}
AGAIN = {404, 408, 409, 425} | OVERLOADED  # 404: the path worked before, so the server is redeploying
NO_QUOTA = {
    "insufficient_quota",
    "exceeded_current_quota_error",
    "billing_hard_limit_reached",
    "billing_not_active",
}
NO_MONEY = re.compile(  # narrow, because servers may quote the row's text; other wordings are handled later
    r"credit balance|(insufficient|not enough) (account )?(balance|credits?|funds)"
    r"|balance (is )?(insufficient|too low|not enough)|out of credits",
    re.IGNORECASE,
)
FILTERED = re.compile(r"content.?(filter|policy)|moderation|flagged", re.IGNORECASE)
NO_SUCH_MODEL = re.compile(r"model.*(not exist|not found|not_found)", re.IGNORECASE | re.DOTALL)
FIRST_SECONDS = 1.0  # the longest wait after a row's first fault; it doubles with each further fault
LONGEST_SECONDS = 60.0


def unanswered(error: openai.APIConnectionError, endpoint: Endpoint) -> Fault:
    """The fault of a request that got no response."""
    cause = error.__cause__
    if isinstance(error, openai.APITimeoutError) and not isinstance(cause, httpx2.ConnectTimeout):
        return too_slow(endpoint)
    reason = without_key(f"{type(cause).__name__}: {cause}" if cause is not None else str(error), endpoint)
    refused = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)  # not a later disconnect
    return Fault(f"no connection ({shortened(reason)})", unreachable=refused)


def too_slow(endpoint: Endpoint) -> Fault:
    """The fault of a request that timed out, which is a sign of overload."""
    return Fault(f"no answer within timeout_seconds ({endpoint.timeout_seconds:g} s)", overload=True)


def understood(
    error: openai.APIStatusError, endpoint: Endpoint, answered: bool, sent: Mapping[str, Any]
) -> Exception:
    """The error for an HTTP status of 300 or above; `answered` tells whether the endpoint ever answered."""
    status, whole = error.status_code, said(error, endpoint)
    told = shortened(whole)
    if 300 <= status < 400:
        return _redirected(error, endpoint)
    help_ = cure(f"{whole} {error.param}", sent, endpoint)
    advice = _advice(error, told, endpoint, answered, help_)
    if advice is not None:
        problem, remedy = advice
        return EndpointError(
            f"{problem} {endpoint.model} at {endpoint.base_url} (HTTP {status}): {told}. {remedy}"
        )
    if status in AGAIN or status >= 500:
        wait = retry_after(error.response.headers)
        return Fault(f"HTTP {status}: {told}", wait, overload=status in OVERLOADED)
    return RefusedRequest(f"the endpoint refused the request (HTTP {status}): {told}", help_)


def said(error: openai.APIStatusError, endpoint: Endpoint) -> str:
    """The endpoint's full error message, with the key removed."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    text = str(data_without_key(message, endpoint) or decoded(error.response.content) or "nothing")
    return without_key(text, endpoint)


def _redirected(error: openai.APIStatusError, endpoint: Endpoint) -> EndpointError:
    location = shortened(without_key(error.response.headers.get("location", "nowhere"), endpoint))
    return EndpointError(
        f"{endpoint.model} at {endpoint.base_url} redirects to {location!r} (HTTP {error.status_code})."
        " The redirect is not followed, because it would send the prompts to another server. If you trust"
        " that address, set it as 'base_url' (without /chat/completions)"
    )


def _advice(
    error: openai.APIStatusError, said: str, endpoint: Endpoint, answered: bool, help_: str
) -> tuple[str, str] | None:
    """The endpoint's problem and its remedy. None where the row may be at fault or a retry may help."""
    status, code = error.status_code, str(error.code)
    if (
        status == 402
        or {code, str(error.type)} & NO_QUOTA
        or (status in (400, 403) and NO_MONEY.search(said))
    ):
        return "no quota is left for", "Raise the quota or pay, then run again. Finished rows are kept."
    if status == 401 or (status == 403 and not FILTERED.search(f"{code} {said}")):
        return "the key is not accepted for", _advice_on_key(endpoint)
    if code in UNSUPPORTED and error.param != "response_format":
        return "a parameter is not supported by", help_
    if status == 404 and _is_no_such_model(error, said):
        return "there is no model", "Correct 'model', or 'base_url' if another server has the model."
    if status == 404 and not answered:
        return "no chat completions are served for", "Correct 'base_url': it usually ends in /v1."
    return None


def _advice_on_key(endpoint: Endpoint) -> str:
    variable = endpoint.api_key_variable
    return (
        f"Set the environment variable {variable} (named by 'api_key_variable') to a key that may use this"
        " model. If it is unset, 'EMPTY' is sent, which only local servers accept."
    )


def _is_no_such_model(error: openai.APIStatusError, said: str) -> bool:
    return error.param == "model" or bool(NO_SUCH_MODEL.search(f"{error.code} {said}"))


def backoff(faults: int) -> float:
    """Seconds to wait after a row's n-th fault, drawn uniformly from zero so that retries spread out."""
    return random.uniform(0, min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(faults - 1, 30)))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from the headers `retry-after-ms` or `retry-after` (seconds or a date), or None."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return _until(value) if seconds is None else seconds


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(value: str | None) -> float | None:
    parsed = parsedate_tz(value or "")
    if parsed is None:
        return None
    try:
        return max(0.0, mktime_tz(parsed) - time.time())
    except (ValueError, OverflowError):
        return None


class Health:
    """Whether the endpoint works. `alive_at` is the time when the latest answered request was sent.

    The time of the answer would not do: answers still arrive after the endpoint stopped accepting requests.
    """

    def __init__(self, address: str, attempts: int) -> None:
        self.address = address
        self.attempts = attempts
        self.alive_at = -math.inf
        self._unreachable = 0

    @property
    def answered(self) -> bool:
        """Whether the endpoint has ever answered."""
        return self.alive_at > -math.inf

    def succeeded(self, sent_at: float) -> None:
        """Record that the model answered a request sent at `sent_at`."""
        self.alive_at = max(self.alive_at, sent_at)
        self._unreachable = 0

    def failed(self, fault: Fault) -> None:
        """Record a failed request. Raises EndpointError for an endpoint that was never reachable."""
        self._unreachable = self._unreachable + 1 if fault.unreachable else 0
        if not self.answered:
            self.refuse_unreachable(fault)

    def refuse_unreachable(self, fault: Fault) -> None:
        """Raise EndpointError after too many failed connections in a row."""
        if self._unreachable >= 2 * self.attempts:
            raise EndpointError(
                f"{self.address} cannot be reached: {self._unreachable} connections failed in a row. Last"
                f" error: {fault}. Check that the server runs and that 'base_url' is right, then run again."
                " Finished rows are kept."
            )
