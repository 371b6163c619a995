"""What a generating process and its owner tell each other over a pipe. Imports nothing heavy."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.connection import Connection
from queue import SimpleQueue

from preceptor.compute.request import Decoding, Generation, Request


@dataclass(frozen=True)
class Settings:
    """Everything that the engine is started with; the owner's first message."""

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
    """Samples of one conversation: row numbers, and the request of the first; the seeds count up by one."""

    numbers: tuple[int, ...]
    request: Request

    def next_request(self) -> Request:
        """What one more sample would be."""
        return replace(self.request, seed=self.request.seed + len(self.numbers))

    def rows(self) -> list[tuple[int, Request]]:
        """(Number, its request) per row."""
        seed = self.request.seed
        return [(n, replace(self.request, seed=seed + i)) for i, n in enumerate(self.numbers)]


@dataclass(frozen=True)
class Asks:
    """More rows to answer."""

    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Stop:
    """The owner wants nothing more."""


@dataclass(frozen=True)
class Ready:
    """The engine has loaded its model."""


@dataclass(frozen=True)
class Answers:
    """Finished rows, by number."""

    rows: tuple[tuple[int, Generation], ...]


@dataclass(frozen=True)
class Heartbeat:
    """The engine lives, and has generated so many tokens since its start."""

    response_tokens: int


@dataclass(frozen=True)
class Failed:
    """The engine cannot go on; why, in a sentence."""

    reason: str


ToEngine = Settings | Asks | Stop
FromEngine = Ready | Answers | Heartbeat | Failed


class Outbox:
    """Sends from a thread, so that a slow reader at the other end never holds up who has something to say."""

    def __init__(self, connection: Connection) -> None:
        self._messages: SimpleQueue[ToEngine | FromEngine | None] = SimpleQueue()
        self._connection = connection
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def put(self, message: ToEngine | FromEngine) -> None:
        """Send soon; lost if the other end is gone, which its reader notices."""
        self._messages.put(message)

    def finish(self, seconds: float) -> None:
        """Send what is left, within this time."""
        self._messages.put(None)
        self._thread.join(seconds)

    def _send(self) -> None:
        try:
            while (message := self._messages.get()) is not None:
                self._connection.send(message)
        except OSError:
            return


def grouped(rows: Iterable[tuple[int, Request]], together: bool) -> Iterator[Ask]:
    """Neighbouring rows that are samples of one conversation as one Ask, or each row as its own."""
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
