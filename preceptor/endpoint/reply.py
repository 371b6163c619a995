"""An endpoint's reply has a largest size: what it sends is counted before it is kept."""

from collections.abc import AsyncIterator

import httpx2

LARGEST = 64 * 2**20  # bytes: many times the longest answer of any model
AS_IT_IS = "identity"  # a packed reply of some kilobytes could unpack to gigabytes


async def bound_reply(response: httpx2.Response) -> None:
    """Count a response's bytes as they come. Raises httpx2.DecodingError for a packed one."""
    packed = response.headers.get("content-encoding", AS_IT_IS)
    if packed != AS_IT_IS:
        raise httpx2.DecodingError(f"the reply is packed ({packed[:20]!r}), though it was asked for unpacked")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Counted(response.stream)


class _Counted(httpx2.AsyncByteStream):
    """A stream that breaks off behind the last byte that a reply may have."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for part in self.stream:
            received += len(part)
            if received > LARGEST:
                raise httpx2.ReadError(f"the reply is longer than {LARGEST // 2**20} MiB")
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()
