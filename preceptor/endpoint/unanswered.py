"""Rows that got no answer: by their own fault only if the endpoint answers somebody who asks after them."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from preceptor.endpoint.client import Client, Row
from preceptor.endpoint.errors import EndpointError, OutOfAttempts, RefusedRequest, RowError

log = logging.getLogger(__name__)
MOST_UNANSWERED = 10  # rows that are held before the endpoint has to show that it is alive
OTHER_WORDS = "Hello."
LOOK = "See what is wrong with the endpoint."


@dataclass(frozen=True)
class _Held:
    row: Row
    error: str
    since: float


class Unanswered:
    """Holds refused and failed rows until a request that was sent after them is answered.

    Where none comes by itself, the last row is asked again in other words: the same parameters and roles with
    short texts. If that is answered it was the rows' own texts, else it is the endpoint or the study.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._held: list[_Held] = []
        self._asking = asyncio.Lock()

    def hold(self, row: Row, error: str) -> None:
        """Keep a row and its error until the endpoint is known to have been alive."""
        self._held.append(_Held(row, error, time.monotonic()))

    def at_fault(self) -> list[tuple[int, str]]:
        """The rows whose own fault it was, and their errors; they are held no longer."""
        alive_at = self.client.health.alive_at
        at_fault = [held for held in self._held if held.since <= alive_at]
        self._held = [held for held in self._held if held.since > alive_at]
        return [(held.row.number, held.error) for held in at_fault]

    async def settle(self, most: int) -> None:
        """With so many rows held or more, ask in other words; raises EndpointError if that fails too."""
        async with self._asking:
            pending = [held for held in self._held if held.since > self.client.health.alive_at]
            if len(pending) >= most:
                await self._ask_in_other_words(pending)

    async def _ask_in_other_words(self, pending: list[_Held]) -> None:
        last, address = pending[-1], self.client.health.address
        log.info("%s gave %d rows no answer; asked in other words: %s", address, len(pending), last.error)
        try:
            await self.client.ask(Row(last.row.number), **_in_other_words(last.row.body))
        except (OutOfAttempts, RefusedRequest) as failure:
            cure = failure.cure if isinstance(failure, RefusedRequest) else LOOK
            raise EndpointError(
                f"{address} gave {len(pending)} rows no answer, and none to a short text with the same"
                f" parameters: {failure}. The last row's error: {last.error}. {cure} Then run again: finished"
                " rows are kept, these are not marked."
            ) from failure
        except RowError:
            return  # a filtered answer is one too


def _in_other_words(body: dict[str, Any]) -> dict[str, Any]:
    messages = [message | {"content": OTHER_WORDS} for message in body["messages"]]
    return body | {"messages": messages}
