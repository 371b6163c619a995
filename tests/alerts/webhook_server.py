"""A webhook receiver on loopback. It accepts alerts or answers as configured."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebhookServer:
    """`answers` holds a status or seconds of silence for each next request. Later ones are accepted."""

    def __init__(self, *answers: int | float, location: str | None = None):
        self.answers = list(answers)
        self.location = location
        self.asked: list[dict] = []
        self.taken: list[dict] = []

    def __enter__(self) -> "WebhookServer":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.play(self)

            def do_GET(self):
                receiver.play(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hooks/T0PSECRET?key=T0PSECRET"

    def play(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length", 0))
        body = json.loads(request.rfile.read(length) or b"{}")
        self.asked.append(body)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, float):
            self.drip(request, answer)
            return
        if answer < 300:
            self.taken.append(body)
        request.send_response(answer)
        if self.location:
            request.send_header("Location", self.location)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def drip(self, request: BaseHTTPRequestHandler, seconds: float) -> None:
        """Send the answer byte by byte, so that no single read is slow."""
        ends = time.monotonic() + seconds
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Wait: ")
        while time.monotonic() < ends:
            try:
                request.wfile.write(b".")
            except OSError:
                return
            time.sleep(0.02)
