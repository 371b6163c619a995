"""Whose fault a failed request is: the row's, the endpoint's, or chance."""

import re

import httpx2
import openai

from preceptor.endpoint.errors import EndpointError, Fault, RefusedRequest, shortened
from preceptor.endpoint.hidden import without_key
from preceptor.endpoint.parameters import UNSUPPORTED
from preceptor.endpoint.waits import retry_after
from preceptor.study.endpoint import Endpoint

OVERLOADED = {429, 503, 504, 529}
AGAIN = {404, 408, 409, 425} | OVERLOADED  # 404: the path was right before, so something is redeployed
NO_QUOTA = {
    "insufficient_quota",
    "exceeded_current_quota_error",
    "billing_hard_limit_reached",
    "billing_not_active",
}
NO_MONEY = re.compile(  # narrow: servers may quote the row's own text, and other words are found out later
    r"credit balance|(insufficient|not enough) (account )?(balance|credits?|funds)"
    r"|balance (is )?(insufficient|too low|not enough)|out of credits",
    re.IGNORECASE,
)
FILTERED = re.compile(r"content.?(filter|policy)|moderation|flagged", re.IGNORECASE)
NO_SUCH_MODEL = re.compile(r"model.*(not exist|not found|not_found)", re.IGNORECASE | re.DOTALL)


def unanswered(error: openai.APIConnectionError, endpoint: Endpoint) -> Fault:
    """The fault behind a request that got no response at all."""
    cause = error.__cause__
    if isinstance(error, openai.APITimeoutError) and not isinstance(cause, httpx2.ConnectTimeout):
        return too_slow(endpoint)
    reason = without_key(f"{type(cause).__name__}: {cause}" if cause is not None else str(error), endpoint)
    refused = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)  # else it broke later
    return Fault(f"no connection ({shortened(reason)})", unreachable=refused)


def too_slow(endpoint: Endpoint) -> Fault:
    """The fault of a request that took longer than it may: a sign of too much to do."""
    return Fault(f"no answer within timeout_seconds ({endpoint.timeout_seconds:g} s)", overload=True)


def understood(error: openai.APIStatusError, endpoint: Endpoint, answered: bool) -> Exception:
    """What an HTTP status of 400 or above means; `answered` says whether the endpoint ever gave an answer."""
    status, said = error.status_code, _said(error, endpoint)
    advice = _advice(error, said, endpoint, answered)
    if advice is not None:
        problem, remedy = advice
        return EndpointError(
            f"{problem} {endpoint.model} at {endpoint.base_url} (HTTP {status}): {said}. {remedy}"
        )
    if status in AGAIN or status >= 500:
        wait = retry_after(error.response.headers)
        return Fault(f"HTTP {status}: {said}", wait, overload=status in OVERLOADED)
    return RefusedRequest(f"the endpoint refused the request (HTTP {status}): {said}")


def _advice(
    error: openai.APIStatusError, said: str, endpoint: Endpoint, answered: bool
) -> tuple[str, str] | None:
    """What is wrong with the endpoint, and what to do about it; None where it may be the row or chance."""
    status, code = error.status_code, str(error.code)
    if (
        status == 402
        or {code, str(error.type)} & NO_QUOTA
        or (status in (400, 403) and NO_MONEY.search(said))
    ):
        return "no quota is left for", "Raise it or pay, then run again: finished rows are kept."
    if status == 401 or (status == 403 and not FILTERED.search(f"{code} {said}")):
        return "the key is not accepted for", _advice_on_key(endpoint)
    if code in UNSUPPORTED and error.param != "response_format":
        return "a parameter does not suit", "Change 'sampling', or take another model."
    if status == 404 and _is_no_such_model(error, said):
        return "there is no model", "Correct 'model', or 'base_url' if it is elsewhere."
    if status == 404 and not answered:
        return "nothing answers for", "Correct 'base_url': it usually ends in /v1."
    return None


def _said(error: openai.APIStatusError, endpoint: Endpoint) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return shortened(without_key(str(message or error.response.text or "nothing"), endpoint))


def _advice_on_key(endpoint: Endpoint) -> str:
    variable = endpoint.api_key_variable
    return (
        f"Put a key that may use this model into the environment variable {variable}, named by"
        " 'api_key_variable'; where it is unset, 'EMPTY' is sent, which only local servers accept."
    )


def _is_no_such_model(error: openai.APIStatusError, said: str) -> bool:
    return error.param == "model" or bool(NO_SUCH_MODEL.search(f"{error.code} {said}"))
