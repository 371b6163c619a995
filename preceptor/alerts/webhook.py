"""Delivery by HTTP. The address often is a secret: no log, error or alert ever holds any part of it.

urllib, since httpx2 logs the address of each request.
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
SECONDS = 10.0  # for one alert, all told
SECONDS_OF_A_TICK = 20.0  # Dagster ends a tick, and forgets what it did, after 60


class WebhookError(RuntimeError):
    """An alert that could not be delivered; its text says why, without the address."""


def webhook_address(environment: Mapping[str, str]) -> str | None:
    """The address that PRECEPTOR_WEBHOOK holds, or None where it is not set. Raises WebhookError."""
    address = environment.get(VARIABLE, "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        # urllib cannot use a name before the host; reading the port shows whether it is one.
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        usable = usable and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", address):
        raise WebhookError(
            f"{VARIABLE} is no address that alerts can go to: set it to https://host/path (or http://),"
            " without a user's name, blanks or quotes"
        )
    return address


def deliver(state: State, send: Callable[[Alert], None]) -> tuple[State, str | None]:
    """Send what is pending, the oldest first, as long as it is taken; why it stopped, if it had to."""
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
    """Post JSON; whatever but a 2xx within SECONDS raises WebhookError.

    In a thread: urllib's own timeout begins anew with each byte, and does not cover the name's look-up.
    """
    outcome: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: outcome.put(_posted(address, body)), daemon=True).start()
    try:
        problem = outcome.get(timeout=SECONDS)
    except queue.Empty:
        problem = f"no answer within {SECONDS:g} s"
    if problem is not None:
        raise WebhookError(f"the webhook took no alert: {problem}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert goes where it was told to go, and to nobody else."""

    def redirect_request(self, *_: Any) -> None:
        """Leave a redirect an error."""


def _posted(address: str, body: Mapping[str, Any]) -> str | None:
    """None, or why not, in words that hold nothing of the address."""
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
    except Exception as error:  # whatever else a broken server makes of HTTP: the thread must not die of it
        return _unreachable(error)


def _unreachable(reason: object) -> str:
    """The operating system's words where there are any: an exception's own text may quote the address."""
    why = type(reason).__name__
    if isinstance(reason, OSError) and not isinstance(reason, ssl.SSLError) and (reason.errno or 0) > 0:
        why = os.strerror(reason.errno or 0)
    return f"it cannot be reached ({why})"
