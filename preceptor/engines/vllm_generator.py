"""Generates a teacher's answers with vLLM in a child process, and restarts a dead engine once per stream."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from preceptor.compute.request import Decoding, Generation, Request
from preceptor.engines.engine_process import EngineError, EngineProcess, worker_command
from preceptor.engines.messages import Answers, Asks, Failed, Heartbeat, Ready, Settings, grouped
from preceptor.progress import duration

log = logging.getLogger(__name__)
COMMAND = worker_command("preceptor.engines.vllm_worker")
WINDOW = 4096  # rows in flight, many times an engine's batch size
SECONDS_BETWEEN_REPORTS = 10.0


@dataclass(frozen=True)
class Machine:
    """How this machine runs vLLM. These settings change answers by rounding only."""

    memory_share: float = 0.9
    prefix_caching: bool = True
    enforce_eager: bool = False
    start_seconds: float = 1800.0
    silent_seconds: float = 600.0


@dataclass
class Flow:
    """One stream's rows: the unsent, those in flight, and the finished."""

    requests: Sequence[Request]
    together: bool
    flying: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)
    tokens: int = 0
    relaunched: bool = False

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Queue all unfinished rows again, after a new engine has started."""
        unfinished = ((n, r) for n, r in enumerate(self.requests) if n not in self.finished)
        self._unsent = grouped(unfinished, self.together)
        self.flying.clear()

    def more(self) -> Asks | None:
        """The rows that fill the window again, once it is an eighth empty."""
        if len(self.flying) > WINDOW - WINDOW // 8:
            return None
        asks = []
        while len(self.flying) < WINDOW and (ask := next(self._unsent, None)) is not None:
            asks.append(ask)
            self.flying.update(ask.numbers)
        return Asks(tuple(asks)) if asks else None

    def land(self, number: int, answer: Generation) -> None:
        """Record a finished row."""
        self.flying.remove(number)
        self.finished.add(number)
        self.tokens += answer.response_tokens or 0

    def done(self) -> bool:
        """Whether every row is finished."""
        return len(self.finished) == len(self.requests)


class VllmGenerator:
    """Starts the engine at once. Raises EngineError if it cannot start, or dies twice in one stream."""

    def __init__(
        self,
        model: str,
        revision: str,
        dtype: str,
        prompt_format: str,
        max_length: int | None,
        quantization: str | None,
        adapter: str | None,
        tensor_parallel_size: int,
        decoding: Decoding,
        machine: Machine,
        prompt_date: date | None = None,
    ) -> None:
        self.settings = Settings(
            model,
            revision,
            dtype,
            prompt_format,
            max_length,
            quantization,
            adapter,
            tensor_parallel_size,
            decoding,
            machine.memory_share,
            machine.prefix_caching,
            machine.enforce_eager,
            prompt_date,
        )
        self.machine = machine
        self.facts: dict[str, int | float] = {"relaunches": 0}
        self._engine: EngineProcess | None = self._started()

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Generation]]:
        """Yield answers as they finish. The engine gets new rows continuously, not batch by batch."""
        flow = Flow(requests, together=self.settings.decoding.temperature > 0)
        started = time.monotonic()
        try:
            while not flow.done():
                try:
                    yield from self._answers(flow, self._running())
                except EngineError as error:
                    self._relaunch(flow, error)
            seconds = max(time.monotonic() - started, 1e-9)
            self.facts["response_tokens_per_second"] = round(flow.tokens / seconds, 1)
        finally:
            if not flow.done():
                self._kill()  # otherwise it would continue with rows that are no longer needed

    def close(self) -> None:
        """End the engine and free its memory."""
        if self._engine is not None:
            self._engine.stop()
            self._engine = None

    def _answers(self, flow: Flow, engine: EngineProcess) -> Iterator[tuple[int, Generation]]:
        """Yield the unfinished rows as they finish."""
        pace = Pace()
        while not flow.done():
            if more := flow.more():
                engine.send(more)
            match self._heard(engine, self.machine.silent_seconds):
                case Answers(rows):
                    for number, answer in rows:
                        flow.land(number, answer)
                        yield number, answer
                case Heartbeat(tokens):
                    pace.report(tokens, len(flow.finished), len(flow.requests))

    def _heard(self, engine: EngineProcess, seconds: float) -> Ready | Answers | Heartbeat:
        """The next message. Raises EngineError if the engine failed, died, or was silent for `seconds`."""
        try:
            message = engine.receive(seconds)
        except EOFError:
            raise self._death("vLLM's process died") from None
        if message is None:
            raise self._death(f"vLLM did not respond for {duration(seconds)}")
        if isinstance(message, Failed):
            raise self._death(message.reason)
        return message

    def _death(self, reason: str) -> EngineError:
        """Kill what is left of the engine. Returns the error with the end of its log."""
        tail = self._engine.log_tail() if self._engine else ""
        self._kill()
        shown = f"\nThe end of its log:\n{tail}" if tail else ""
        return EngineError(f"{self.settings.model}: {reason}{shown}")

    def _relaunch(self, flow: Flow, error: EngineError) -> None:
        """Restart the engine, at most once per stream."""
        if flow.relaunched:
            raise EngineError(
                f"vLLM died twice. {len(flow.finished)} of {len(flow.requests)} rows were finished before."
                f" {error}"
            ) from error
        flow.relaunched = True
        flow.restart()
        self.facts["relaunches"] += 1
        log.warning("restarting vLLM for %d rows: %s", len(flow.requests) - len(flow.finished), error)

    def _running(self) -> EngineProcess:
        if self._engine is None:
            self._engine = self._started()
        return self._engine

    def _started(self) -> EngineProcess:
        """A new engine that is ready for rows."""
        log.info("starting vLLM for %s", self.settings.model)
        started = time.monotonic()
        self._engine = engine = EngineProcess(COMMAND, self.settings)
        try:
            self._heard(engine, self.machine.start_seconds)
        except BaseException:
            self._kill()
            raise
        seconds = time.monotonic() - started
        self.facts["seconds_to_start"] = round(seconds, 1)
        log.info("vLLM is ready after %.0f s", seconds)
        return engine

    def _kill(self) -> None:
        if self._engine is not None:
            self._engine.kill()
            self._engine = None


class Pace:
    """Logs the engine's speed every few seconds, from its heartbeats."""

    def __init__(self) -> None:
        self._at, self._tokens = -1.0, 0

    def report(self, tokens: int, finished: int, total: int) -> None:
        """Log the speed since the last report, if SECONDS_BETWEEN_REPORTS have passed."""
        now = time.monotonic()
        if self._at >= 0 and now - self._at < SECONDS_BETWEEN_REPORTS:
            return
        if self._at >= 0:
            rate = (tokens - self._tokens) / (now - self._at)
            log.info("vLLM: %s of %s rows, %s tokens/s", f"{finished:,}", f"{total:,}", f"{rate:,.0f}")
        self._at, self._tokens = now, tokens
