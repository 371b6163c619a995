"""Messages between an engine process and its owner. This module imports nothing heavy."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.connection import Connection
from queue import SimpleQueue

from preceptor.compute.request import Decoding, Generation, Request


@dataclass(frozen=True)
class Settings:
    """The settings of an engine, which are the owner's first message."""

    model: str
    revision: str
    dtype: str
    prompt_format: str
    max_length: int | None
    quantization: str | None
    adapter: str | None
    tensor_parallel_size: int
    decoding: Decoding
    memory_share: float
    prefix_caching: bool
    enforce_eager: bool
    prompt_date: date | None = None


@dataclass(frozen=True)
class Ask:
    """Samples of one conversation: row numbers and the first row's request. Seeds increase by one."""

    numbers: tuple[int, ...]
    request: Request

    def next_request(self) -> Request:
        """The request of one further sample."""
        return replace(self.request, seed=self.request.seed + len(self.numbers))

    def rows(self) -> list[tuple[int, Request]]:
        """(Row number, request) for each row."""
        seed = self.request.seed
        return [(n, replace(self.request, seed=seed + i)) for i, n in enumerate(self.numbers)]


@dataclass(frozen=True)
class Asks:
    """More rows to answer."""

    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Stop:
    """The owner asks the engine to end."""


@dataclass(frozen=True)
class Ready:
    """The engine has loaded its model."""


@dataclass(frozen=True)
class Answers:
    """Finished rows, by number."""

    rows: tuple[tuple[int, Generation], ...]


@dataclass(frozen=True)
class Heartbeat:
    """The engine runs, and has generated this many tokens since its start."""

    response_tokens: int


@dataclass(frozen=True)
class Failed:
    """The engine cannot continue, for this reason."""

    reason: str


ToEngine = Settings | Asks | Stop
FromEngine = Ready | Answers | Heartbeat | Failed


class Outbox:
    """Sends messages from a thread, so that a slow reader never blocks the sender."""

    def __init__(self, connection: Connection) -> None:
        self._messages: SimpleQueue[ToEngine | FromEngine | None] = SimpleQueue()
        self._connection = connection
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def put(self, message: ToEngine | FromEngine) -> None:
        """Queue a message. It is lost if the other end is gone, which the reading side notices."""
        self._messages.put(message)

    def finish(self, seconds: float) -> None:
        """Send all queued messages within `seconds`."""
        self._messages.put(None)
        self._thread.join(seconds)

    def _send(self) -> None:
        try:
            while (message := self._messages.get()) is not None:
                self._connection.send(message)
        except OSError:
            return


def grouped(rows: Iterable[tuple[int, Request]], together: bool) -> Iterator[Ask]:
    """Group neighbouring rows that are samples of one conversation, or none unless `together`."""
    ask: Ask | None = None
    for number, request in rows:
        if ask and together and ask.next_request() == request:
            ask = replace(ask, numbers=(*ask.numbers, number))
            continue
        if ask:
            yield ask
        ask = Ask((number,), request)
    if ask:
        yield ask
