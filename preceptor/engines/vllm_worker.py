"""The child process that runs vLLM. It reads rows from a pipe and sends each row back when it is finished.

python -m preceptor.engines.vllm_worker FILE_DESCRIPTOR
"""

import importlib.util
import sys
import threading
import time
import traceback
from collections import deque
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from preceptor.engines.messages import Answers, Ask, Asks, Failed, Heartbeat, Outbox, Ready, Settings, Stop
from preceptor.engines.process_group import end_own_group

if TYPE_CHECKING:
    from preceptor.engines.vllm_engine import VllmEngine

HEARTBEAT_SECONDS = 2.0
ASKS_BETWEEN_STEPS = 64  # few, so that finished rows do not wait while new prompts are rendered
FLUSH_SECONDS = 5.0
NOT_INSTALLED = (
    "vLLM is not installed: run pip install -e '.[vllm]' in the checkout on a machine with a GPU"
    " (`make test-slow` installs its build for CPUs)"
)
Inbox = SimpleQueue[Asks | Stop]


def main(descriptor: int) -> int:
    """Serve until the owner ends the work. Returns 1 if the engine failed, else 0."""
    connection = Connection(descriptor)
    settings = connection.recv()
    outbox = Outbox(connection)
    inbox: Inbox = SimpleQueue()
    # Started first, so that the process also ends if its owner dies during a long load.
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    try:
        _run(settings, inbox, outbox)
    except Exception as error:
        from preceptor.compute.load import ModelError

        if not isinstance(error, ModelError):  # its message is enough
            traceback.print_exc()
        outbox.put(Failed(f"{error}" or type(error).__name__))
        return 1
    finally:
        outbox.finish(FLUSH_SECONDS)
    return 0


def _read(connection: Connection, inbox: Inbox) -> None:
    """Read the owner's messages. End this whole process group when the owner is gone."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        end_own_group()


def _run(settings: Settings, inbox: Inbox, outbox: Outbox) -> None:
    if importlib.util.find_spec("vllm") is None:
        outbox.put(Failed(NOT_INSTALLED))
        return
    from preceptor.engines.vllm_engine import VllmEngine

    engine = VllmEngine(settings)
    threading.Thread(target=_report_death, args=(engine, outbox), daemon=True).start()
    outbox.put(Ready())
    _serve(engine, inbox, outbox)
    engine.close()


def _report_death(engine: "VllmEngine", outbox: Outbox) -> None:
    engine.wait_for_death()
    outbox.put(Failed("vLLM's engine process died"))


def _serve(engine: "VllmEngine", inbox: Inbox, outbox: Outbox) -> None:
    """Answer rows until the owner sends Stop. Heartbeats are sent here, so that a hung engine is silent."""
    waiting: deque[Ask] = deque()
    beat = 0.0
    while _take(inbox, waiting, 0.0 if waiting or engine.busy() else HEARTBEAT_SECONDS):
        rows = []
        for _ in range(min(len(waiting), ASKS_BETWEEN_STEPS)):
            rows += engine.ask(waiting.popleft())
        if engine.busy():
            rows += engine.step()
        if rows:
            outbox.put(Answers(tuple(rows)))
        if time.monotonic() - beat >= HEARTBEAT_SECONDS:
            beat = time.monotonic()
            outbox.put(Heartbeat(engine.response_tokens()))


def _take(inbox: Inbox, waiting: deque[Ask], seconds: float) -> bool:
    """Take all new messages, waiting up to `seconds` for the first. Returns False after a Stop."""
    try:
        message = inbox.get(timeout=seconds) if seconds else inbox.get_nowait()
        while isinstance(message, Asks):
            waiting.extend(message.asks)
            message = inbox.get_nowait()
    except Empty:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
