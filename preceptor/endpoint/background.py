"""An event loop in a thread of its own, whose results a plain generator hands over as they come."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


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
