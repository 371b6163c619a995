"""vLLM's own server on loopback, serving a demo teacher with room for a judge's prompt."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from preceptor.engines.process_group import end_group

DEMO = Path(__file__).parents[2] / "studies" / "demo"
TEACHER = DEMO / "teachers" / "llama-small"
CONTEXT = 3072  # the demo's teachers have 256 tokens; a judge's prompt has 900 in their tiny vocabulary
NO_BLANKS = {"backend": "xgrammar", "disable_any_whitespace": True}  # the tiny model writes endless blanks
START_SECONDS = 900


@contextmanager
def vllm_server(log: Path, context: int = CONTEXT) -> Iterator[str]:
    """The address of a ready server. Its whole process group ends with the block."""
    with mortal_vllm_server(log, context) as (address, _):
        yield address


@contextmanager
def mortal_vllm_server(log: Path, context: int = CONTEXT) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server's address, and a function that kills it. Python's trackers then free its shared memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(TEACHER), "--served-model-name", "scripted", "--dtype", "float32"]
    command += ["--enforce-eager", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--max-model-len", str(context)]
    command += ["--hf-overrides", json.dumps({"max_position_embeddings": context})]
    command += [
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
    ]  # for requests with functions
    command += ["--logprobs-mode", "processed_logprobs"]  # only of tokens that the grammar allows
    command += ["--structured-outputs-config", json.dumps(NO_BLANKS)]
    # Chunked prefill crashes vLLM 0.32 if a request has a seed: "CPU Generator does not use offset".
    command += ["--no-enable-chunked-prefill"]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    # Named functions use JSON's grammar, because the grammar of a parser's tags ignores NO_BLANKS.
    environment["VLLM_ENFORCE_STRICT_TOOL_CALLING"] = "0"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_ready(server, port, log)
        yield f"http://127.0.0.1:{port}/v1", lambda: end_group(server.pid)
    finally:
        with suppress(ProcessLookupError):  # the whole group has ended already
            os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        end_group(server.pid)
        server.wait()


def _wait_until_ready(server: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, f"vLLM's server ended:\n{log.read_text()[-3000:]}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"vLLM's server was not ready in {START_SECONDS} s:\n{log.read_text()[-3000:]}")
