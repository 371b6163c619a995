"""An endpoint's reply has a largest size: what it sends is counted before it is kept."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2

LARGEST = 64 * 2**20  # bytes: many times the longest answer of any model
BESIDES = 2**20  # bytes of a reply that are no answer: thoughts that do not count as tokens, an error in HTML
PER_TOKEN = 2**10  # bytes: the longest tokens have 128 characters, an escaped one has 6 bytes
PER_LISTED_TOKEN = 2**14  # bytes, where each comes with 20 others and their probabilities
AS_IT_IS = "identity"  # a packed reply of some kilobytes could unpack to gigabytes
PACKINGS = {"gzip", "deflate", "br", "zstd", "compress"}


class ReplyBound:
    """Counts a response's bytes as they come; `most` grows with what requests ask for."""

    def __init__(self) -> None:
        self.most = 0

    def allow(self, max_tokens: int, body: dict[str, Any]) -> None:
        """Make room for an answer of so many tokens."""
        each = PER_LISTED_TOKEN if body.get("logprobs") else PER_TOKEN
        self.most = max(self.most, min(LARGEST, BESIDES + max_tokens * each))

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
