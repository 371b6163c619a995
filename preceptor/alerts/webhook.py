"""Delivery by HTTP. The address is often a secret, so no log, error or alert contains any part of it.

Uses urllib, since httpx2 logs the address of each request.
"""

import json
import os
import queue
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from preceptor.alerts.alert import Alert
from preceptor.alerts.state import State

VARIABLE = "PRECEPTOR_WEBHOOK"
SECONDS = 10.0  # total time for one alert
SECONDS_OF_A_TICK = 20.0  # after 60 s Dagster ends a tick and discards its result


class WebhookError(RuntimeError):
    """An alert could not be delivered. The message says why, without the address."""


def webhook_address(environment: Mapping[str, str]) -> str | None:
    """The address in PRECEPTOR_WEBHOOK, or None if it is not set. Raises WebhookError."""
    address = environment.get(VARIABLE, "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        # urllib cannot use a user's name before the host. Reading `port` raises if it is not a number.
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        usable = usable and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", address):
        raise WebhookError(
            f"{VARIABLE} is not a valid webhook address: set it to https://host/path (or http://), without a"
            " user's name, blanks or quotes"
        )
    return address


def deliver(state: State, send: Callable[[Alert], None]) -> tuple[State, str | None]:
    """Send pending alerts, oldest first, until one fails. Returns the new state and the error, if any."""
    ends = time.monotonic() + SECONDS_OF_A_TICK
    try:
        if state.dropped:
            send(state.drop_notice())
            state = state.having(dropped=0)
        while state.pending and time.monotonic() < ends:
            send(state.pending[0])
            state = state.having(pending=state.pending[1:])
    except WebhookError as error:
        return state, str(error)
    return state, None


def post(address: str, body: Mapping[str, Any]) -> None:
    """Post JSON. Raises WebhookError unless a 2xx answer arrives within SECONDS.

    Runs in a thread, since urllib's own timeout restarts with each byte and does not cover the DNS look-up.
    """
    outcome: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: outcome.put(_posted(address, body)), daemon=True).start()
    try:
        problem = outcome.get(timeout=SECONDS)
    except queue.Empty:
        problem = f"no answer within {SECONDS:g} s"
    if problem is not None:
        raise WebhookError(f"the webhook did not accept the alert: {problem}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that an alert goes only to the configured address."""

    def redirect_request(self, *_: Any) -> None:
        """Return None, so that urllib raises an error for the redirect."""


def _posted(address: str, body: Mapping[str, Any]) -> str | None:
    """Post and return None, or the reason of a failure without any part of the address."""
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "preceptor"}
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        hint = " (redirects are not followed: set the final address)" if 300 <= error.code < 400 else ""
        return f"it answered {error.code}{hint}"
    except urllib.error.URLError as error:
        return _unreachable(error.reason)
    except Exception as error:  # any other error of a broken server must not end the thread
        return _unreachable(error)


def _unreachable(reason: object) -> str:
    """The operating system's message or the error's type. An exception's own text may contain the address."""
    why = type(reason).__name__
    if isinstance(reason, OSError) and not isinstance(reason, ssl.SSLError) and (reason.errno or 0) > 0:
        why = os.strerror(reason.errno or 0)
    return f"it cannot be reached ({why})"
