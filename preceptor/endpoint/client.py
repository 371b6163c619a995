"""Requests chat completions from an endpoint, with retries and an adaptive limit on concurrency."""

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
)  # it logs each status with the server's text, which may contain the key
CONNECT_SECONDS = 30.0
IDLE_SECONDS = 2.0  # servers drop idle connections (uvicorn after 5 s), so we drop them earlier
SEEDS = 2**31 - 1  # every API accepts 31 bits; a prime keeps the seeds of samples and turns distinct
WORTH_SAYING = 5.0  # seconds: shorter pauses are not logged
TOOLS = {"tools", "functions"}
LONGEST_REST = 600.0  # seconds: if an endpoint asks for a longer wait, the run stops
LARGEST_REPLY = 64 * 2**20  # bytes: many times the longest answer of any model
BESIDES = 2**20  # bytes of a reply beside the answer: reasoning that is not counted as tokens, an HTML error
PER_TOKEN = 2**10  # bytes: the longest tokens have 128 characters, and an escaped character takes 6 bytes
PER_LISTED_TOKEN = 2**14  # bytes per token that is listed with 20 alternatives and their probabilities
AS_IT_IS = "identity"  # a compressed reply of a few kilobytes could decompress to gigabytes
PACKINGS = {"gzip", "deflate", "br", "zstd", "compress"}


@dataclass
class Row:
    """A row's number, its latest request, and its failed attempts. All turns share the attempts."""

    number: int
    faults: int = 0
    body: dict[str, Any] = field(default_factory=dict)


class Client:
    """A client for one event loop. `limiter`, `spent` and `parameters` may be used for longer."""

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
        """Open the connection pool."""
        seconds, most = self.endpoint.timeout_seconds, self.endpoint.concurrency
        self._openai = openai.AsyncOpenAI(
            api_key=_key(self.endpoint),
            base_url=self.endpoint.base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
                limits=httpx2.Limits(max_connections=most, keepalive_expiry=IDLE_SECONDS),
                headers={"accept-encoding": AS_IT_IS},
                follow_redirects=False,  # a redirect would send the prompts to another server
                event_hooks={"response": [self.bound]},
            ),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._openai.close()

    async def ask(self, row: Row, max_tokens: int, seed: int, **body: Any) -> Completion:
        """Return the model's answer to a request's `body`. A `seed` of any size is reduced to 31 bits.

        Raises RowError where only this row fails, and EndpointError where no row can succeed.
        """
        row.body = body | {"max_tokens": max_tokens, "seed": seed % SEEDS}
        while True:
            try:
                async with self.gate.passage(row.number) as setting:
                    return await self._once(setting, row.body)
            except Fault as fault:
                await asyncio.sleep(self.wait_after(row, fault))

    def wait_after(self, row: Row, fault: Fault) -> float:
        """Seconds until the row's next attempt. Raises OutOfAttempts where none is left."""
        row.faults += 1
        wait = max(backoff(row.faults), fault.wait or 0.0)
        if wait > LONGEST_REST:
            raise EndpointError(
                f"{self.health.address} asks to wait {wait:,.0f} s ({fault})."
                " Run again later. Finished rows are kept."
            )
        if fault.overload:
            if wait >= WORTH_SAYING:
                log.info("pausing requests to %s for %.0f s: %s", self.health.address, wait, fault)
            self.gate.rest(wait)
        if row.faults >= self.endpoint.attempts:
            self.health.refuse_unreachable(fault)
            raise OutOfAttempts(f"no usable answer in {row.faults} attempts. Last error: {fault}")
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
            raise  # a proxy may have refused it, so this does not show that the model works
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
            # From None: Dagster stores the texts of causes, and this one may contain the key.
            raise unanswered(error, self.endpoint) from None
        except TimeoutError as error:
            raise too_slow(self.endpoint) from error
        data = parsed(response, partial(data_without_key, endpoint=self.endpoint))
        self.spent.tokens(read_usage(data))
        tools = bool(TOOLS & (body.keys() | self.endpoint.extra_body.keys()))
        return read_completion(data, self.parameters.most_tokens(body["max_tokens"]), tools)

    async def _sent(self, body: dict[str, Any]) -> bytes:
        """The response's body. An optional parameter that is refused is renamed or left out."""
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
    """The key, or a placeholder for local servers that need none."""
    key = os.environ.get(endpoint.api_key_variable, "").strip() or "EMPTY"
    if not key.isascii() or not key.isprintable():
        raise EndpointError(
            f"the environment variable {endpoint.api_key_variable} contains characters that no key contains:"
            " set it to the key alone, without quotes or line breaks"
        )
    return key


class ReplyBound:
    """Limits the bytes of a response. `most` grows with the requested number of tokens."""

    def __init__(self) -> None:
        self.most = 0

    def allow(self, max_tokens: int, body: dict[str, Any]) -> None:
        """Raise the limit for an answer of this many tokens."""
        each = PER_LISTED_TOKEN if body.get("logprobs") else PER_TOKEN
        self.most = max(self.most, min(LARGEST_REPLY, BESIDES + max_tokens * each))

    async def __call__(self, response: httpx2.Response) -> None:
        """Limit a response that begins. Raises httpx2.DecodingError for a compressed one."""
        packed = response.headers.get("content-encoding", AS_IT_IS)
        if packed != AS_IT_IS:
            how = packed if packed in PACKINGS else "unknown encoding"  # a header may repeat the key
            raise httpx2.DecodingError(f"the reply is compressed ({how}), but 'identity' was requested")
        response.encoding = "utf-8"  # as in JSON; a header could name a codec that yields no text
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self.most)


class _Counted(httpx2.AsyncByteStream):
    """A stream that fails when the reply exceeds the limit."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self.stream = stream
        self.most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for part in self.stream:
            received += len(part)
            if received > self.most:
                raise httpx2.ReadError(
                    f"the reply is longer than {self.most / 2**20:.3g} MiB, far more than was requested"
                )
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()
