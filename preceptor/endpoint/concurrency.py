"""How many requests are in flight, and which is next. The limit is found by trying.

It is the fewest requests that give nearly the most throughput.

What an endpoint can take is unknown and changes. Latency alone does not show it: a batching server slows
every request a little with each one more and still gains. So throughput at different limits is compared:
latency that grows without a gain in throughput is a queue, from which the limit goes back.
"""

import asyncio
import heapq
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

START = 4
FEWEST = 24  # requests that a round measures, or twice the limit if that is more
FULL = 0.8  # of the limit in flight: with fewer, the work that there is was the limit
ENOUGH = 0.9  # of the best throughput
CHANGED = 1.5  # times faster or slower than known at one limit: no longer the same endpoint
REST = 8  # rounds between two tries of a larger limit
NEAR = 1.3  # limits that are not worth telling apart
BACK = 0.9  # of a limit that was too much for the endpoint: the most that is tried for now
RECOVERY = 1.01  # growth of that most, per round


class AdaptiveLimit:
    """The number of requests that may be in flight, at most `bound`.

    `setting` counts changes: a request that the endpoint had too much of tells the one that it began under.
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
        """Learn from an answer at this time in seconds; `work` is its tokens, `in_flight` counts it too."""
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
        """Halve the limit: the endpoint said that it has too much to do. Once for all who began together."""
        if setting != self.setting:
            return
        self._known = {n: throughput for n, throughput in self._known.items() if n < self.limit}
        self._most = max(1.0, BACK * self.limit)
        self._rested = 0
        self._set(self._smaller(0.5))

    def _settle(self) -> None:
        """Measure after as many answers as are in flight: then the queue is as long as it gets."""
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
        """Remember a round; below 1, how much slower the endpoint has become since this limit was known."""
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
        """Grow while that pays, then look for a smaller limit as good, then rest and try again."""
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
    """Admits requests up to the limit: older rows first, none while it rests. Lives in one event loop."""

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
