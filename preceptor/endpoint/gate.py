"""Who may send a request now: as many as the limit says, older rows first, nobody while it rests."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from preceptor.endpoint.concurrency import AdaptiveLimit


class Gate:
    """Lives in one event loop."""

    def __init__(self, limiter: AdaptiveLimit) -> None:
        self.limiter = limiter
        self.in_flight = 0
        self._closed_until = 0.0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def passage(self, row: int) -> AsyncIterator[int]:
        """Wait for a place, hold it inside the block; gives the limiter's setting at the start."""
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (row, next(self._order), turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise
        try:
            yield self.limiter.setting
        finally:
            self._leave()

    def rest(self, seconds: float) -> None:
        """Admit nobody for so long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._closed_until:
            self._closed_until = until
            loop.call_at(until, self._admit)

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        if asyncio.get_running_loop().time() < self._closed_until:
            return
        while self._waiting and self.in_flight < self.limiter.limit:
            turn = heapq.heappop(self._waiting)[-1]
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
