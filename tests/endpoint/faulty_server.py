"""A chat endpoint on loopback that plays scripts: it answers, refuses, cuts, hangs, resets or queues."""

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MODEL = "scripted"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


@dataclass
class Play:
    """What the server does with one request."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    reset: bool = False
    reason: str = "Scripted"


def answer(text: str | None, finish="stop", prompt=7, response=3, seconds=0.0, **message) -> Play:
    """A completion with the given usage."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
    }
    usage = {"prompt_tokens": prompt, "completion_tokens": response, "total_tokens": prompt + response}
    return Play(body=json.dumps({"choices": [choice], "usage": usage}).encode(), seconds=seconds)


def refusal(status: int, message="no", headers=None, **fields) -> Play:
    """An error in the API's form."""
    body = json.dumps({"error": {"message": message, "type": "some", **fields}}).encode()
    return Play(status, body, headers or {})


def question(body: dict) -> str:
    """The last user turn of a request."""
    return body["messages"][-1]["content"]


def echo(body: dict, attempt: int) -> Play:
    """A healthy endpoint: every question gets its own answer."""
    return answer(f"re: {question(body)}")


def faults_then_echo(*plays: Play) -> Callable[[dict, int], Play]:
    """Each question gets these plays, one per attempt, and then an answer."""
    return lambda body, attempt: plays[attempt] if attempt < len(plays) else echo(body, attempt)


class FaultyServer:
    """Plays `script(body, n)` for the n-th request with the same messages, `slots` requests at once."""

    def __init__(self, script: Callable[[dict, int], Play] = echo, slots: int | None = None):
        self.script = script
        self.slots = slots
        self.bodies: list[dict] = []
        self.keys: list[str] = []
        self.seen: Counter[str] = Counter()
        self.at_once = 0
        self.most_at_once = 0

    def __enter__(self) -> "FaultyServer":
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=[started], daemon=True)
        self.thread.start()
        assert started.wait(60)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(60)
        assert not self.thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _run(self, started: threading.Event):
        self.loop.run_until_complete(self._serve(started))
        self.loop.close()

    async def _serve(self, started: threading.Event):
        self.stopped = asyncio.Event()
        self.free = asyncio.Semaphore(self.slots or 10_000)
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self.stopped.wait()
        server.close()
        connections = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        try:
            while body := await self._request(reader):
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    await self._play(body, writer)
                finally:
                    self.at_once -= 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> dict | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        assert head.startswith("POST /v1/chat/completions ")
        self.keys.append(headers["authorization"].removeprefix("bearer "))
        return json.loads(await reader.readexactly(int(headers["content-length"])))

    async def _play(self, body: dict, writer: asyncio.StreamWriter):
        self.bodies.append(body)
        asked = json.dumps(body["messages"])
        play = self.script(body, self.seen[asked])
        self.seen[asked] += 1
        async with self.free:
            await asyncio.sleep(play.seconds)
        if play.reset:
            linger = writer.get_extra_info("socket")
            linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
            raise ConnectionResetError
        lines = {"content-type": "application/json", "content-length": len(play.body), **play.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {play.status} {play.reason}\r\n{head}\r\n".encode() + play.body)
        await writer.drain()
        if play.headers.get("connection") == "close":
            raise ConnectionResetError
