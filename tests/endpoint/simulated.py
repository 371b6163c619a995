"""An endpoint in simulated time. It has a fixed number of slots, and queues or refuses further requests."""

import heapq
import random
from dataclasses import dataclass, field

from preceptor.endpoint.concurrency import AdaptiveLimit


class Fixed:
    """A limit that does not adapt."""

    setting = 0

    def __init__(self, limit: int):
        self.limit = limit

    def finished(self, now, work, in_flight):
        """Learn nothing."""


@dataclass
class Simulation:
    """Keeps as many requests in flight as the limit allows, each with a random number of tokens."""

    limiter: AdaptiveLimit | Fixed
    slots: int
    seed: int = 0
    refuses: bool = False  # refuse requests beyond the slots instead of queueing them
    slowdown: float = 0.0  # how much each request in service slows every other one, as a share
    now: float = 0.0
    tokens: int = 0
    limits: list[int] = field(default_factory=list)

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.in_flight = 0
        self.queue: list = []
        self.events: list = []
        self.serving = 0
        self.count = 0
        self.refused = 0

    def run(self, requests: int) -> "Simulation":
        self.limits.clear()
        self.tokens, self.refused, self.began = 0, 0, self.now
        finished = 0
        while finished < requests:
            while self.in_flight < self.limiter.limit:
                self.start()
            self.now, _, _, setting, work = heapq.heappop(self.events)
            if work:
                self.serving -= 1
                self.limiter.finished(self.now, work, self.in_flight)
                self.tokens += work
                finished += 1
                self.limits.append(self.limiter.limit)
            else:
                self.refused += 1
                self.limiter.overloaded(setting)
            self.in_flight -= 1
            while self.queue and self.serving < self.slots:
                self.serve(*self.queue.pop(0))
        return self

    def start(self):
        self.in_flight += 1
        request = (self.now, self.limiter.setting, self.random.randint(20, 200))
        if self.serving < self.slots:
            self.serve(*request)
        elif self.refuses:
            self.push(self.now + 0.05, request[0], request[1], 0)
        else:
            self.queue.append(request)

    def serve(self, begun, setting, work):
        self.serving += 1
        seconds = (0.1 + 0.01 * work) * (1 + self.slowdown * self.serving)
        self.push(self.now + seconds * self.random.uniform(0.8, 1.2), begun, setting, work)

    def push(self, when, *event):
        self.count += 1
        heapq.heappush(self.events, (when, self.count, *event))

    @property
    def throughput(self) -> float:
        return self.tokens / (self.now - self.began)

    @property
    def mean_limit(self) -> float:
        return sum(self.limits) / len(self.limits)
