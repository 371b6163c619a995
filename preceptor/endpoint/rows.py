"""Asks an endpoint about many rows at once. Yields each result exactly once, as it finishes.

A bounded number of rows is in progress. Rows without an answer are held until it is known whether the
endpoint or the row is at fault.
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
MOST_UNANSWERED = 10  # rows that are held before the endpoint is tested with a short text
OTHER_WORDS = "Hello."
LOOK = "Check the endpoint."
Item = TypeVar("Item")
Result = TypeVar("Result")


class Rows(Generic[Item, Result]):
    """Asks an endpoint about rows. `answer` handles one row, `failed` turns an error into a result.

    `optional` names the parameters that are left out if the endpoint refuses them.
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
        """Yield (item number, result). Raises EndpointError after all results that finished before it."""

        async def produce(outbox: Outbox[tuple[int, Result]]) -> None:
            async with Client(self.endpoint, self.limiter, self.spent, self.parameters) as client:
                await _Work(self, client, items, outbox).run()

        return in_background(produce, 2 * self.endpoint.concurrency + MOST_UNANSWERED)


class Outbox(Generic[Item]):
    """Passes items from the event loop to a consumer. A producer reserves a place before it puts an item.

    So a slow consumer makes the producers wait, and putting a finished item never waits.
    """

    def __init__(self, places: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(places)
        self._items: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()

    async def reserve(self) -> None:
        """Wait for a free place. The place becomes free again when its item is consumed."""
        await self._places.acquire()

    def put(self, item: Item) -> None:
        """Put an item in a reserved place."""
        self._items.put(item)

    def end(self, error: BaseException | None = None) -> None:
        """Mark the end, with the error that caused it if there is one."""
        self._items.put(error)

    def consumed(self) -> Iterator[Item]:
        """Yield the items, outside the loop's thread. An error is raised after all earlier items."""
        while (item := self._items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._loop.call_soon_threadsafe(self._places.release)
            yield item


def in_background(
    produce: Callable[[Outbox[Item]], Awaitable[None]], places: int
) -> Generator[Item, None, None]:
    """Run `produce` in its own event loop and yield its items. Closing the generator cancels it."""
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
    """Produce all items, then keep the loop open until the consumer has them all and cancels."""
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
    """Holds refused and failed rows until a later request is answered.

    If no later request is answered, a test request repeats the last row's parameters and roles with short
    texts. If the test is answered, the rows' texts were at fault; otherwise the endpoint or the study is.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._held: list[_Held] = []
        self._asking = asyncio.Lock()

    def hold(self, row: Row, error: str) -> None:
        """Hold a row and its error until the endpoint is known to work."""
        self._held.append(_Held(row, error, time.monotonic()))

    def at_fault(self) -> list[tuple[int, str]]:
        """Release and return the rows that were themselves at fault, with their errors."""
        alive_at = self.client.health.alive_at
        at_fault = [held for held in self._held if held.since <= alive_at]
        self._held = [held for held in self._held if held.since > alive_at]
        return [(held.row.number, held.error) for held in at_fault]

    async def settle(self, most: int) -> None:
        """Send the test request if at least `most` rows are held. Raises EndpointError if it fails too."""
        async with self._asking:
            pending = [held for held in self._held if held.since > self.client.health.alive_at]
            if len(pending) >= most:
                await self._test_with_short_texts(pending)

    async def _test_with_short_texts(self, pending: list[_Held]) -> None:
        last, address = pending[-1], self.client.health.address
        log.info(
            "%s did not answer %d rows; testing it with a short text. Last error: %s",
            address,
            len(pending),
            last.error,
        )
        try:
            await self.client.ask(Row(last.row.number), **_with_short_texts(last.row.body))
        except (OutOfAttempts, RefusedRequest) as failure:
            cure = failure.cure if isinstance(failure, RefusedRequest) else LOOK
            raise EndpointError(
                f"{address} did not answer {len(pending)} rows, nor a short text with the same parameters:"
                f" {failure}. The last row's error: {last.error}. {cure} Then run again. Finished rows are"
                " kept, and the unanswered rows are not marked as failed."
            ) from failure
        except RowError:
            return  # a filtered answer also shows that the endpoint works


def _with_short_texts(body: dict[str, Any]) -> dict[str, Any]:
    messages = [message | {"content": OTHER_WORDS} for message in body["messages"]]
    return body | {"messages": messages}
