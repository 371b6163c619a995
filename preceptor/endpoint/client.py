"""Chat completions from an endpoint: asked again where that helps, no faster than the endpoint can take."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import httpx2
import openai

from preceptor.endpoint.completion import Completion, parsed, read_completion, read_usage
from preceptor.endpoint.concurrency import AdaptiveLimit, Gate
from preceptor.endpoint.errors import (
    EndpointError,
    Fault,
    OutOfAttempts,
    RefusedRequest,
    RowError,
    shortened,
)
from preceptor.endpoint.failures import Health, backoff, said, too_slow, unanswered, understood
from preceptor.endpoint.hidden import data_without_key
from preceptor.endpoint.parameters import Parameters
from preceptor.endpoint.usage import Spent
from preceptor.study.endpoint import Endpoint

log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(
    logging.WARNING
)  # it logs each status in the server's words: maybe the key
CONNECT_SECONDS = 30.0
IDLE_SECONDS = 2.0  # servers drop idle connections, uvicorn after 5 s: never reuse one just then
SEEDS = 2**31 - 1  # a prime: seeds that differ by samples or turns stay apart, and every API takes them
WORTH_SAYING = 5.0  # seconds of rest that somebody who watches may wonder about
TOOLS = {"tools", "functions"}
LONGEST_REST = 600.0  # seconds that an endpoint may ask for before it is better to stop
LARGEST_REPLY = 64 * 2**20  # bytes: many times the longest answer of any model
BESIDES = 2**20  # bytes of a reply that are no answer: thoughts that do not count as tokens, an error in HTML
PER_TOKEN = 2**10  # bytes: the longest tokens have 128 characters, an escaped one has 6 bytes
PER_LISTED_TOKEN = 2**14  # bytes, where each comes with 20 others and their probabilities
AS_IT_IS = "identity"  # a packed reply of some kilobytes could unpack to gigabytes
PACKINGS = {"gzip", "deflate", "br", "zstd", "compress"}


@dataclass
class Row:
    """A row's number, its latest request, and how often one went wrong: all its turns share the attempts."""

    number: int
    faults: int = 0
    body: dict[str, Any] = field(default_factory=dict)


class Client:
    """Lives in one event loop. `limiter`, `spent` and `parameters` may outlive it."""

    def __init__(
        self, endpoint: Endpoint, limiter: AdaptiveLimit, spent: Spent, parameters: Parameters
    ) -> None:
        self.endpoint = endpoint
        self.gate = Gate(limiter)
        self.health = Health(f"{endpoint.model} at {endpoint.base_url}", endpoint.attempts)
        self.spent = spent
        self.parameters = parameters
        self.bound = ReplyBound()

    async def __aenter__(self) -> Self:
        """Open the connections' pool."""
        seconds, most = self.endpoint.timeout_seconds, self.endpoint.concurrency
        self._openai = openai.AsyncOpenAI(
            api_key=_key(self.endpoint),
            base_url=self.endpoint.base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
                limits=httpx2.Limits(max_connections=most, keepalive_expiry=IDLE_SECONDS),
                headers={"accept-encoding": AS_IT_IS},
                follow_redirects=False,  # whoever is there would get the prompts
                event_hooks={"response": [self.bound]},
            ),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._openai.close()

    async def ask(self, row: Row, max_tokens: int, seed: int, **body: Any) -> Completion:
        """The model's answer to a request's `body`; a `seed` of any size is reduced to 31 bits.

        Raises RowError (the row's error), or EndpointError (everybody's).
        """
        row.body = body | {"max_tokens": max_tokens, "seed": seed % SEEDS}
        while True:
            try:
                async with self.gate.passage(row.number) as setting:
                    return await self._once(setting, row.body)
            except Fault as fault:
                await asyncio.sleep(self.wait_after(row, fault))

    def wait_after(self, row: Row, fault: Fault) -> float:
        """Seconds until the row may try again; raises OutOfAttempts where it may not."""
        row.faults += 1
        wait = max(backoff(row.faults), fault.wait or 0.0)
        if wait > LONGEST_REST:
            raise EndpointError(
                f"{self.health.address} asks to wait {wait:,.0f} s ({fault})."
                " Run again later: finished rows are kept."
            )
        if fault.overload:
            if wait >= WORTH_SAYING:
                log.info("%s rests for %.0f s: %s", self.health.address, wait, fault)
            self.gate.rest(wait)
        if row.faults >= self.endpoint.attempts:
            self.health.refuse_unreachable(fault)
            raise OutOfAttempts(f"no usable answer in {row.faults} attempts; the last: {fault}")
        self.spent.add("retries")
        return wait

    async def _once(self, setting: int, body: dict[str, Any]) -> Completion:
        self.spent.highest(self.gate.in_flight)
        sent_at = time.monotonic()
        try:
            completion = await self._received(body)
        except Fault as fault:
            if fault.overload:
                self.gate.limiter.overloaded(setting)
            self.health.failed(fault)
            raise
        except RefusedRequest:
            raise  # by the model, or by something before it: no sign of life
        except RowError:
            self.health.succeeded(sent_at)
            raise
        self.health.succeeded(sent_at)
        work = max(1, completion.usage.response_tokens or 1)
        self.gate.limiter.finished(time.monotonic(), work, self.gate.in_flight)
        return completion

    async def _received(self, body: dict[str, Any]) -> Completion:
        try:
            async with asyncio.timeout(self.endpoint.timeout_seconds):
                response = await self._sent(body)
        except openai.APIConnectionError as error:
            # From None: Dagster keeps the texts of causes, and this one's may hold the key.
            raise unanswered(error, self.endpoint) from None
        except TimeoutError as error:
            raise too_slow(self.endpoint) from error
        data = parsed(response, partial(data_without_key, endpoint=self.endpoint))
        self.spent.tokens(read_usage(data))
        tools = bool(TOOLS & (body.keys() | self.endpoint.extra_body.keys()))
        return read_completion(data, self.parameters.most_tokens(body["max_tokens"]), tools)

    async def _sent(self, body: dict[str, Any]) -> bytes:
        """The body of the response; a parameter that is refused is sent otherwise if it can be spared."""
        tried: set[str] = set()
        why: list[str] = []
        while True:
            sent = self.parameters.sent({"model": self.endpoint.model} | body, tried)
            self.bound.allow(self.parameters.most_tokens(body["max_tokens"]), sent)
            self.spent.add("requests")
            try:
                answer: httpx2.Response = await self._openai.post(
                    "/chat/completions", body=sent, cast_to=httpx2.Response
                )
            except openai.APIStatusError as error:
                failure = understood(error, self.endpoint, self.health.answered, sent)
                refusal = said(error, self.endpoint)
                spared = self.parameters.worth_trying(error, failure, refusal, sent)
                if not spared:
                    raise failure from None
                tried |= spared
                why.append(shortened(refusal))
            else:
                self.parameters.learn(sent, tried, "; then ".join(dict.fromkeys(why)))
                return answer.content


def _key(endpoint: Endpoint) -> str:
    """The key, or a placeholder: servers at home ask for none."""
    key = os.environ.get(endpoint.api_key_variable, "").strip() or "EMPTY"
    if not key.isascii() or not key.isprintable():
        raise EndpointError(
            f"the environment variable {endpoint.api_key_variable} holds characters that no key has: set it"
            " to the key alone, without quotes or line breaks"
        )
    return key


class ReplyBound:
    """Counts a response's bytes as they come; `most` grows with what requests ask for."""

    def __init__(self) -> None:
        self.most = 0

    def allow(self, max_tokens: int, body: dict[str, Any]) -> None:
        """Make room for an answer of so many tokens."""
        each = PER_LISTED_TOKEN if body.get("logprobs") else PER_TOKEN
        self.most = max(self.most, min(LARGEST_REPLY, BESIDES + max_tokens * each))

    async def __call__(self, response: httpx2.Response) -> None:
        """Bound a response that begins. Raises httpx2.DecodingError for a packed one."""
        packed = response.headers.get("content-encoding", AS_IT_IS)
        if packed != AS_IT_IS:
            how = packed if packed in PACKINGS else "in a way of its own"  # a header may repeat the key
            raise httpx2.DecodingError(f"the reply is packed ({how}), though it was asked for unpacked")
        response.encoding = "utf-8"  # JSON is; a header could name a codec that makes no text
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self.most)


class _Counted(httpx2.AsyncByteStream):
    """A stream that breaks off behind the last byte that a reply may have."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self.stream = stream
        self.most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for part in self.stream:
            received += len(part)
            if received > self.most:
                raise httpx2.ReadError(
                    f"the reply is longer than {self.most / 2**20:.3g} MiB, many times what was asked for"
                )
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()
