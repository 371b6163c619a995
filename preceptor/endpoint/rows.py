"""Many rows asked at once: each row's result exactly once, as it finishes, a bounded number on their way."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Generic, TypeVar

from preceptor.endpoint.background import Outbox, in_background
from preceptor.endpoint.client import Client, Row
from preceptor.endpoint.concurrency import AdaptiveLimit
from preceptor.endpoint.errors import OutOfAttempts, RowError
from preceptor.endpoint.health import HOPELESS_ROWS
from preceptor.endpoint.spent import Spent
from preceptor.study.endpoint import Endpoint

Item = TypeVar("Item")
Result = TypeVar("Result")


class Rows(Generic[Item, Result]):
    """Asks an endpoint about rows: `answer` is the dialogue about one, `failed` the result of an error."""

    def __init__(
        self,
        endpoint: Endpoint,
        answer: Callable[[Client, Row, Item], Awaitable[Result]],
        failed: Callable[[str], Result],
        spent: Spent,
    ) -> None:
        self.endpoint = endpoint
        self.answer = answer
        self.failed = failed
        self.spent = spent
        self.limiter = AdaptiveLimit(endpoint.concurrency)

    def stream(self, items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """Yield (number of the item, its result); raises EndpointError after what was finished before it."""

        async def produce(outbox: Outbox[tuple[int, Result]]) -> None:
            async with Client(self.endpoint, self.limiter, self.spent) as client:
                await _Work(self, client, items, outbox).run()

        return in_background(produce, 2 * self.endpoint.concurrency + HOPELESS_ROWS)


class _Work(Generic[Item, Result]):
    """One stream. Rows that ran out of attempts are held until an answer proves that the endpoint lives."""

    def __init__(
        self,
        rows: Rows[Item, Result],
        client: Client,
        items: Sequence[Item],
        outbox: Outbox[tuple[int, Result]],
    ) -> None:
        self.rows = rows
        self.client = client
        self.items = enumerate(items)
        self.workers = min(rows.endpoint.concurrency, len(items))
        self.outbox = outbox
        self.held: list[tuple[int, str]] = []

    async def run(self) -> None:
        tasks = [asyncio.create_task(self._worker()) for _ in range(self.workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._release()

    async def _worker(self) -> None:
        while True:
            await self.outbox.reserve()
            entry = next(self.items, None)
            if entry is None:
                return
            await self._row(*entry)

    async def _row(self, number: int, item: Item) -> None:
        try:
            result = await self.rows.answer(self.client, Row(number), item)
        except OutOfAttempts as failure:
            self.held.append((number, str(failure)))
        except RowError as failure:
            self._fail(number, str(failure))
        else:
            self.outbox.put((number, result))
        if self.client.health.rows_failed == 0:
            self._release()

    def _release(self) -> None:
        for number, error in self.held:
            self._fail(number, error)
        self.held.clear()

    def _fail(self, number: int, error: str) -> None:
        self.rows.spent.add("rows_failed")
        self.outbox.put((number, self.rows.failed(error)))
