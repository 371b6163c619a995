"""Serve the study's report and a picture of its ranking over HTTP, for Dagster's UI to link and show.

Browsers open no link from the UI to a local file. The UI loads asset descriptions once, with the code, so the
picture of the ranking is drawn at each request.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from preceptor.lake.files import read_text
from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.store import Lake, LakeError
from preceptor.report.headline import sentences
from preceptor.report.publish import report_uri
from preceptor.suitability.plot import car_plot, words_picture

REPORT, RANKING = "/report.html", "/ranking.png"
NONE_YET = "There is no report yet. Materialize raw_instructions: ranking and report then run automatically."
NOT_RANKED = "No teacher is ranked yet. Materialize raw_instructions: the ranking then runs automatically."
DRAWING = threading.Lock()  # matplotlib draws in one thread at a time


@dataclass(frozen=True)
class Addresses:
    """URLs of the report and of the picture of the ranking."""

    report: str
    ranking: str


@dataclass(frozen=True)
class PageReply:
    """The reply to a request."""

    status: HTTPStatus
    kind: str
    body: bytes


@contextmanager
def serve_report(lake: Lake, host: str, port: int) -> Iterator[Addresses]:
    """Serve the newest report and ranking from a thread. Raises OSError if the port cannot be used."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = self._head()
            with suppress(ConnectionError):  # the client may disconnect
                self.wfile.write(answer.body)

        def do_HEAD(self) -> None:
            self._head()

        def _head(self) -> PageReply:
            answer = _answer(lake, self.path)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")  # the next version has the same URL
            with suppress(ConnectionError):
                self.end_headers()
            return answer

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((host, port), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://{host}:{server.server_port}"
        yield Addresses(here + REPORT, here + RANKING)
        server.shutdown()


def _answer(lake: Lake, path: str) -> PageReply:
    if path in ("/", REPORT):
        return _page(lake)
    if path == RANKING:
        return PageReply(HTTPStatus.OK, "image/png", _picture(lake))
    return _words(HTTPStatus.NOT_FOUND, f"Only {REPORT} and {RANKING} are served here.")


def _page(lake: Lake) -> PageReply:
    try:
        text = read_text(lake, report_uri(lake))
    except LakeError as error:
        return _words(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    if text is None:
        return _words(HTTPStatus.NOT_FOUND, NONE_YET)
    return PageReply(HTTPStatus.OK, "text/html; charset=utf-8", text.encode())


def _picture(lake: Lake) -> bytes:
    """A picture of the newest ranking; if it is missing or cannot be read, a picture of the reason."""
    with DRAWING:
        try:
            table = lake.read(CAR_TABLE)
        except LakeError as error:
            return words_picture(str(error))
        if table.is_empty():
            return words_picture(NOT_RANKED)
        return car_plot(table, sentences(table))


def _words(status: HTTPStatus, text: str) -> PageReply:
    return PageReply(status, "text/plain; charset=utf-8", text.encode())
