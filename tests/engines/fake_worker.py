"""A worker without vLLM for tests. Its "model" names the way in which it misbehaves.

Its "revision" is a folder where every launch writes the rows that it got. A launch has a child process that
keeps the pipe open, as vLLM's own processes may.
"""

import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from preceptor.compute.request import Generation
from preceptor.engines.messages import Answers, Ask, Asks, Failed, Heartbeat, Ready

ROWS_BEFORE_TROUBLE = 5


def main() -> None:
    descriptor = int(sys.argv[1])
    connection = Connection(descriptor)
    settings = connection.recv()
    behaviour, folder = settings.model, Path(settings.revision)
    launch = len(list(folder.iterdir()))
    journal = (folder / f"{launch}").open("w", buffering=1)
    subprocess.Popen(["sleep", "600"], pass_fds=[descriptor])
    sys.stderr.write("the engine's last words\n")
    if behaviour == "refuses":
        connection.send(Failed("the model is no good"))
        return
    if behaviour == "never starts":
        time.sleep(600)
    connection.send(Ready())
    troubled = behaviour.startswith(("dies", "hangs")) and not (behaviour.endswith("once") and launch)
    serve(connection, journal, behaviour if troubled else "healthy")


def serve(connection: Connection, journal, behaviour: str) -> None:
    """Answer a few rows at a time, the latest first."""
    waiting: list[Ask] = []
    answered = most = 0
    while True:
        while not waiting or (connection.poll() and not behaviour.startswith("hangs")):
            if not connection.poll(0.2):
                connection.send(Heartbeat(answered))
                continue
            message = connection.recv()
            if not isinstance(message, Asks):
                return
            waiting += message.asks
            in_flight = sum(len(ask.numbers) for ask in waiting)
            most = max(most, in_flight)
            numbers = " ".join(str(n) for ask in message.asks for n in ask.numbers)
            journal.write(f"{most}: {numbers}\n")
        ask = waiting.pop()
        answered += len(ask.numbers)
        connection.send(Answers(tuple((n, Generation((f"{r.seed}",), "stop", 1, 1)) for n, r in ask.rows())))
        if answered >= ROWS_BEFORE_TROUBLE and behaviour.startswith("dies"):
            os._exit(9)
        if answered >= ROWS_BEFORE_TROUBLE and behaviour.startswith("hangs"):
            time.sleep(600)


if __name__ == "__main__":
    main()
