"""What a hub says of a study's names, by a hub on loopback, in a process that may ask it."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

KNOWN = {"/api/models/org/model-3b-instruct", "/api/models/org/model-3b-instruct/revision/v2"}
ERRORS = {
    "/api/models/org/closed": (403, "GatedRepo"),
    "/api/models/org/model-3b-instruct/revision/v9": (404, "RevisionNotFound"),
    "/api/models/org/model-3b-instrct": (401, "RepoNotFound"),
    "/api/datasets/org/nothing": (404, "RepoNotFound"),
}
ASK = """
import sys
from preceptor.hub import HubName, UnreachableError, unknown_names
names = [HubName(*line.split()) for line in sys.argv[1:]]
try:
    for problem in unknown_names(names):
        print(problem)
except UnreachableError as error:
    print("unreachable:", error)
"""


class Hub(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        status, error, body = 200, None, {"id": "org/model-3b-instruct", "sha": "a" * 40}
        if path in ("/api/models", "/api/datasets"):
            body = [{"id": "org/model-3b-instruct"}] if "search=model-3b-instrct" in query else []
        elif path not in KNOWN:
            status, error = ERRORS.get(path, (500, None))
        content = json.dumps(body).encode()
        self.send_response(status)
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def ask(address: str, *names: str) -> list[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address}
    command = [sys.executable, "-c", ASK, *names]
    checkout = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_what_the_hub_does_not_know_is_named_with_what_is_like_it(hub):
    assert ask(
        hub,
        "model org/model-3b-instruct",
        "model org/model-3b-instruct v2",
        "model org/model-3b-instruct v9",
        "model org/model-3b-instrct",
        "model org/closed",
        "dataset org/nothing",
    ) == [
        "model 'org/model-3b-instruct' at 'v9': the hub has the model, but not this revision",
        "model 'org/model-3b-instrct' is unknown to the hub, or private (then set HF_TOKEN)."
        " Did you mean 'org/model-3b-instruct'?",
        "model 'org/closed' is gated; accept its terms on its page, and set HF_TOKEN to a token that may"
        " read it",
        "dataset 'org/nothing' is unknown to the hub, or private (then set HF_TOKEN)",
    ]


def test_a_hub_that_fails_or_is_not_there_says_nothing_of_the_names(hub):
    (failing,) = ask(hub, "model org/breaks")
    assert failing.startswith("unreachable: ")
    (absent,) = ask("http://127.0.0.1:9", "model org/any")
    assert absent.startswith("unreachable: ")
