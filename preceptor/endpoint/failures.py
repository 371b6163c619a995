"""Whose fault a failed request is: the row's, the endpoint's, or chance."""

import re

import httpx2
import openai

from preceptor.endpoint.errors import EndpointError, Fault, RefusedRequest, shortened
from preceptor.endpoint.waits import retry_after
from preceptor.study.endpoint import Endpoint

OVERLOADED = {429, 503, 504, 529}
AGAIN = {408, 409, 425} | OVERLOADED
NO_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
UNSUPPORTED = {"unsupported_parameter", "unsupported_value"}
FILTERED = re.compile(r"content.?(filter|policy)|moderation|flagged", re.IGNORECASE)
NO_SUCH_MODEL = re.compile(r"model.*(not exist|not found|not_found)", re.IGNORECASE | re.DOTALL)


def unanswered(error: openai.APIConnectionError, endpoint: Endpoint) -> Fault:
    """The fault behind a request that got no response at all."""
    cause = error.__cause__
    if isinstance(error, openai.APITimeoutError) and not isinstance(cause, httpx2.ConnectTimeout):
        return too_slow(endpoint)
    reason = f"{type(cause).__name__}: {cause}" if cause is not None else str(error)
    refused = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)  # else it broke later
    return Fault(f"no connection ({shortened(reason)})", unreachable=refused)


def too_slow(endpoint: Endpoint) -> Fault:
    """The fault of a request that took longer than it may: a sign of too much to do."""
    return Fault(f"no answer within timeout_seconds ({endpoint.timeout_seconds:g} s)", overload=True)


def understood(error: openai.APIStatusError, endpoint: Endpoint, answered: bool) -> Exception:
    """What an HTTP status of 400 or above means; `answered` says whether the endpoint ever gave an answer."""
    status, said = error.status_code, _said(error)
    problem = f"{endpoint.model} at {endpoint.base_url} (HTTP {status}): {said}"
    filtered = status in (400, 403) and FILTERED.search(f"{error.code} {said}")
    if status in (401, 403) and not filtered:
        return EndpointError(f"the key is not accepted for {problem}. {_advice_on_key(endpoint)}")
    if error.code in NO_QUOTA:
        return EndpointError(
            f"no quota is left for {problem}. Raise it, then run again: finished rows are kept."
        )
    if error.code in UNSUPPORTED and error.param != "response_format":
        return EndpointError(
            f"a parameter does not suit {problem}. Change 'sampling', or take another model."
        )
    if status == 404 and _is_no_such_model(error, said):
        return EndpointError(
            f"there is no model {problem}. Correct 'model', or 'base_url' if it is elsewhere."
        )
    if status == 404 and not answered:
        return EndpointError(f"nothing answers for {problem}. Correct 'base_url': it usually ends in /v1.")
    if status in AGAIN or status >= 500:
        wait = retry_after(error.response.headers)
        return Fault(f"HTTP {status}: {said}", wait, overload=status in OVERLOADED)
    return RefusedRequest(f"the endpoint refused the request (HTTP {status}): {said}")


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return shortened(str(message or error.response.text or "nothing"))


def _advice_on_key(endpoint: Endpoint) -> str:
    variable = endpoint.api_key_variable
    return (
        f"Put a key that may use this model into the environment variable {variable}, named by"
        " 'api_key_variable'; where it is unset, 'EMPTY' is sent, which only local servers accept."
    )


def _is_no_such_model(error: openai.APIStatusError, said: str) -> bool:
    return error.param == "model" or bool(NO_SUCH_MODEL.search(f"{error.code} {said}"))
