"""Many rows asked at once: each row's result exactly once, as it finishes, a bounded number on their way."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Generic, TypeVar

from preceptor.endpoint.background import Outbox, in_background
from preceptor.endpoint.client import Client, Row
from preceptor.endpoint.concurrency import AdaptiveLimit
from preceptor.endpoint.errors import OutOfAttempts, RefusedRequest, RowError
from preceptor.endpoint.parameters import Parameters
from preceptor.endpoint.spent import Spent
from preceptor.endpoint.unanswered import MOST_UNANSWERED, Unanswered
from preceptor.study.endpoint import Endpoint

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
