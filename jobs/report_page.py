"""The study's report and its ranking under addresses of their own, for Dagster's UI to link and to show.

Browsers follow no link from the UI to a file, and what the UI itself shows of an asset without a click was
written when its code was loaded: the picture of the ranking is drawn when it is asked for.
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
NONE_YET = "There is no report yet: it follows the ranking (car_table); start with raw_instructions."
NOT_RANKED = "No teacher is ranked yet. Materialize raw_instructions: the ranking follows by itself."
DRAWING = threading.Lock()  # matplotlib draws in one thread at a time


@dataclass(frozen=True)
class Addresses:
    """Where the report and the picture of the ranking are."""

    report: str
    ranking: str


@dataclass(frozen=True)
class PageReply:
    """What a request is answered with."""

    status: HTTPStatus
    kind: str
    body: bytes


@contextmanager
def serve_report(lake: Lake, host: str, port: int) -> Iterator[Addresses]:
    """Serve the newest report and ranking, and nothing else, from a thread. Raises OSError."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = self._head()
            with suppress(ConnectionError):  # a reader may leave early
                self.wfile.write(answer.body)

        def do_HEAD(self) -> None:
            self._head()

        def _head(self) -> PageReply:
            answer = _answer(lake, self.path)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")  # the next one has the same address
            with suppress(ConnectionError):
                self.end_headers()
            return answer

        def log_message(self, *_: object) -> None:
            """Stay silent."""

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
    return _words(HTTPStatus.NOT_FOUND, f"Only {REPORT} and {RANKING} are here.")


def _page(lake: Lake) -> PageReply:
    try:
        text = read_text(lake, report_uri(lake))
    except LakeError as error:
        return _words(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    if text is None:
        return _words(HTTPStatus.NOT_FOUND, NONE_YET)
    return PageReply(HTTPStatus.OK, "text/html; charset=utf-8", text.encode())


def _picture(lake: Lake) -> bytes:
    """The newest ranking; where there is none, and where it cannot be read, a picture that says so."""
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
