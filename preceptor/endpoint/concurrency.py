"""Limits the requests in flight, and admits them by row number. The limit adapts to the endpoint.

The limit settles at the fewest requests that give nearly the best throughput.

An endpoint's capacity is unknown and changes. Latency alone does not show it: on a batching server, each
further request slows the others a little and still raises throughput. So the limit is found by measuring
throughput at different limits. If latency grows and throughput does not, requests queue: the limit shrinks.
"""

import asyncio
import heapq
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

START = 4
FEWEST = 24  # requests per measuring round, or twice the limit if that is more
FULL = 0.8  # share of the limit that must be in flight; with less, too few rows are left to measure
ENOUGH = 0.9  # share of the best throughput that is good enough
CHANGED = 1.5  # if throughput at a limit changes by this factor, earlier measurements are discarded
REST = 8  # rounds between two tries of a larger limit
NEAR = 1.3  # limits closer than this factor are treated as equal
BACK = 0.9  # after an overload, the largest limit to try is this share of the overloading one
RECOVERY = 1.01  # growth of that largest limit per round


class AdaptiveLimit:
    """The number of requests that may be in flight, at most `bound`.

    `setting` counts changes. A request remembers the setting under which it began, so that several
    overloaded requests of the same setting halve the limit only once.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.limit = min(START, bound)
        self.setting = 0
        self._known: dict[int, float] = {}  # throughput by limit
        self._most = float(bound)
        self._rested = 0
        self._settle()

    def finished(self, now: float, work: float, in_flight: int) -> None:
        """Record an answer at time `now` (seconds) of `work` tokens; `in_flight` includes this request."""
        if in_flight < FULL * self.limit:
            self._measure_from(now)
            return
        if self._settling > 0:
            self._settling -= 1
            self._measure_from(now)
            return
        self._finished += 1
        self._work += work
        if self._finished >= max(2 * self.limit, FEWEST) and now > self._since:
            self._decide(self._work / (now - self._since))
            self._measure_from(now)

    def overloaded(self, setting: int) -> None:
        """Halve the limit because the endpoint is overloaded, once for all requests of one setting."""
        if setting != self.setting:
            return
        self._known = {n: throughput for n, throughput in self._known.items() if n < self.limit}
        self._most = max(1.0, BACK * self.limit)
        self._rested = 0
        self._set(self._smaller(0.5))

    def _settle(self) -> None:
        """Skip as many answers as the limit before measuring, so that the queue has its full length."""
        self._settling = self.limit
        self._measure_from(0.0)

    def _measure_from(self, now: float) -> None:
        self._since = now
        self._finished = 0
        self._work = 0.0

    def _set(self, limit: int) -> None:
        self.limit = limit
        self.setting += 1
        self._settle()

    def _decide(self, throughput: float) -> None:
        self._most = min(float(self.bound), self._most * RECOVERY)
        slower = self._learn(throughput)
        limit = self._smaller(slower) if slower < 1 else self._next()
        if limit != self.limit:
            self._set(limit)

    def _learn(self, throughput: float) -> float:
        """Store a round's throughput. Returns the factor (at most 1) by which the endpoint became slower."""
        known = self._known.get(self.limit, throughput)
        change = throughput / known
        if 1 / CHANGED < change < CHANGED:
            self._known[self.limit] = (known + throughput) / 2
            return 1.0
        self._known = {self.limit: throughput}
        return min(change, 1.0)

    def _smaller(self, share: float) -> int:
        return max(1, int(self.limit * max(share, 0.5)))

    def _next(self) -> int:
        """Grow while throughput grows, then look for a smaller limit as good, then pause and try again."""
        best = max(self._known.values())
        settled = min(n for n, throughput in self._known.items() if throughput >= ENOUGH * best)
        larger = min(int(self._most), 2 * settled)
        if settled == max(self._known) and settled < larger:
            self._rested = 0
            return larger
        between = self._between(settled)
        if between != settled:
            return between
        self._rested += 1
        if self._rested % REST:
            return settled
        self._known = {n: known for n, known in self._known.items() if n <= settled}  # too old to trust
        return max(larger, settled)

    def _between(self, settled: int) -> int:
        """An untried limit between the settled one and the next smaller known one, else the settled one."""
        smaller = max((n for n in self._known if n < settled), default=settled // 2)
        middle = round(math.sqrt(max(smaller, 1) * settled))
        return middle if middle not in self._known and smaller * NEAR < settled else settled


class Gate:
    """Admits requests up to the limit, older rows first, and none during a pause. For one event loop."""

    def __init__(self, limiter: AdaptiveLimit) -> None:
        self.limiter = limiter
        self.in_flight = 0
        self._closed_until = 0.0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def passage(self, row: int) -> AsyncIterator[int]:
        """Wait for a free place and hold it inside the block. Yields the limiter's setting at the start."""
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
        """Admit no request for this long."""
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
