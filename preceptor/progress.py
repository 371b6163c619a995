"""Log the progress of long work: rows, tokens per second, time left."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

log = logging.getLogger(__name__)
SECONDS_BETWEEN_REPORTS = 5.0


@dataclass
class Progress:
    """Counts finished rows and reports every few seconds, and once at the end."""

    title: str
    total: int
    done: int = 0
    tokens: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)

    def advance(self, rows: int, tokens: int = 0, failed: int = 0) -> None:
        """Add finished rows, their tokens, and how many of the rows have an error."""
        self.done += rows
        self.tokens += tokens
        self.failed += failed
        now = time.monotonic()
        if self.done >= self.total or now - self.reported >= SECONDS_BETWEEN_REPORTS:
            self.reported = now
            log.info(self.sentence(now - self.started))

    def facts(self) -> dict[str, int | float]:
        """Tokens and their rate so far, for metadata; empty if no tokens were counted."""
        rate = self.tokens / max(time.monotonic() - self.started, 1e-9)
        return {"tokens_computed": self.tokens, "tokens_per_second": round(rate, 1)} if self.tokens else {}

    def sentence(self, seconds: float) -> str:
        """The progress after this many seconds, in one sentence."""
        text = f"{self.title}: {self.done:,} of {self.total:,} rows in {duration(seconds)}"
        if self.tokens and seconds > 0:
            text += f", {self.tokens / seconds:,.0f} tokens/s"
        if self.failed:
            text += f", {self.failed:,} with an error"
        if 0 < self.done < self.total:
            text += f", about {duration(seconds / self.done * (self.total - self.done))} left"
        return text


def duration(seconds: float) -> str:
    """A readable duration: 8 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def in_words(facts: dict[str, int | float]) -> str:
    """Facts as a line of text: 3 retries, 1,204 prompt tokens."""
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in facts.items())


class Engine(Protocol):
    """A worker that reports its speed and usage."""

    @property
    def facts(self) -> dict[str, int | float]:
        """Figures of the work so far, by name."""


@contextmanager
def keep_facts(engine: Engine, facts: dict[str, int | float], title: str) -> Iterator[None]:
    """Add an engine's facts to `facts` and log them, even if the work is interrupted."""
    try:
        yield
    finally:
        facts.update(engine.facts)
        if facts:
            log.info("%s: %s", title, in_words(facts))
