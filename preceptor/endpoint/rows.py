"""Many rows asked at once: each row's result exactly once, as it finishes, a bounded number on their way.

Rows that got no answer are held until it is known whether the endpoint or the row was to blame.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from preceptor.endpoint.client import Client, Row
from preceptor.endpoint.concurrency import AdaptiveLimit
from preceptor.endpoint.errors import EndpointError, OutOfAttempts, RefusedRequest, RowError
from preceptor.endpoint.parameters import Parameters
from preceptor.endpoint.usage import Spent
from preceptor.study.endpoint import Endpoint

log = logging.getLogger(__name__)
MOST_UNANSWERED = 10  # rows that are held before the endpoint has to show that it is alive
OTHER_WORDS = "Hello."
LOOK = "See what is wrong with the endpoint."
Item = TypeVar("Item")
Result = TypeVar("Result")


class Rows(Generic[Item, Result]):
    """Asks an endpoint about rows: `answer` is the dialogue about one, `failed` the result of an error.

    `optional` are the parameters that an endpoint which refuses them is asked without.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        answer: Callable[[Client, Row, Item], Awaitable[Result]],
        failed: Callable[[str], Result],
        spent: Spent,
        optional: Iterable[str],
    ) -> None:
        self.endpoint = endpoint
        self.answer = answer
        self.failed = failed
        self.spent = spent
        self.limiter = AdaptiveLimit(endpoint.concurrency)
        self.parameters = Parameters(endpoint, optional)

    def stream(self, items: Iterable[Item]) -> Generator[tuple[int, Result], None, None]:
        """Yield (number of the item, its result); raises EndpointError after what was finished before it."""

        async def produce(outbox: Outbox[tuple[int, Result]]) -> None:
            async with Client(self.endpoint, self.limiter, self.spent, self.parameters) as client:
                await _Work(self, client, items, outbox).run()

        return in_background(produce, 2 * self.endpoint.concurrency + MOST_UNANSWERED)


class Outbox(Generic[Item]):
    """Items on their way from the loop to a consumer. Whoever will put one reserves its place first.

    So a slow consumer holds the producers up, and putting what is finished never has to wait.
    """

    def __init__(self, places: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(places)
        self._items: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()

    async def reserve(self) -> None:
        """Wait for a free place; it is free again once its item was consumed."""
        await self._places.acquire()

    def put(self, item: Item) -> None:
        """Hand over an item in a reserved place."""
        self._items.put(item)

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, and why if that is an error."""
        self._items.put(error)

    def consumed(self) -> Iterator[Item]:
        """The items, outside the loop's thread; an error is raised after what was finished before it."""
        while (item := self._items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._loop.call_soon_threadsafe(self._places.release)
            yield item


def in_background(
    produce: Callable[[Outbox[Item]], Awaitable[None]], places: int
) -> Generator[Item, None, None]:
    """Run `produce` in a loop of its own and yield what it puts; closing the generator cancels it."""
    opened: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Task[None], Outbox[Item]]] = (
        queue.SimpleQueue()
    )

    async def main() -> None:
        outbox: Outbox[Item] = Outbox(places)
        task = asyncio.create_task(_produced(produce, outbox))
        opened.put((asyncio.get_running_loop(), task, outbox))
        await asyncio.wait([task])

    thread = threading.Thread(target=asyncio.run, args=[main()], name="endpoint", daemon=True)
    thread.start()
    loop, task, outbox = opened.get()
    try:
        yield from outbox.consumed()
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


async def _produced(produce: Callable[[Outbox[Item]], Awaitable[None]], outbox: Outbox[Item]) -> None:
    """Produce everything, then keep the loop open until the consumer has all of it and cancels."""
    try:
        await produce(outbox)
    except Exception as error:
        outbox.end(error)
    else:
        outbox.end()
    await asyncio.Event().wait()


class _Work(Generic[Item, Result]):
    """One stream."""

    def __init__(
        self,
        rows: Rows[Item, Result],
        client: Client,
        items: Iterable[Item],
        outbox: Outbox[tuple[int, Result]],
    ) -> None:
        self.rows = rows
        self.client = client
        self.items = enumerate(items)
        self.outbox = outbox
        self.unanswered = Unanswered(client)

    async def run(self) -> None:
        tasks = [asyncio.create_task(self._worker()) for _ in range(self.rows.endpoint.concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self.unanswered.settle(most=1)
        self._fail_rows_at_fault()

    async def _worker(self) -> None:
        while True:
            await self.outbox.reserve()
            entry = next(self.items, None)
            if entry is None:
                return
            await self._row(*entry)

    async def _row(self, number: int, item: Item) -> None:
        row = Row(number)
        try:
            result = await self.rows.answer(self.client, row, item)
        except (OutOfAttempts, RefusedRequest) as failure:
            self.unanswered.hold(row, str(failure))
            await self.unanswered.settle(most=MOST_UNANSWERED)
        except RowError as failure:
            self._fail(number, str(failure))
        else:
            self.outbox.put((number, result))
        self._fail_rows_at_fault()

    def _fail_rows_at_fault(self) -> None:
        for number, error in self.unanswered.at_fault():
            self._fail(number, error)

    def _fail(self, number: int, error: str) -> None:
        self.rows.spent.add("rows_given_up")
        self.outbox.put((number, self.rows.failed(error)))


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
