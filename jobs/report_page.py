"""The study's report under an address of its own: browsers follow no link from Dagster's UI to a file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from preceptor.lake.files import read_text
from preceptor.lake.store import Lake, LakeError
from preceptor.report.publish import report_uri

PATH = "/report.html"
NONE_YET = "There is no report yet: it follows the ranking (car_table); start with raw_instructions."


@contextmanager
def serve_report(lake: Lake, host: str, port: int) -> Iterator[str]:
    """Serve the newest report, and nothing else, from a thread; yields its address. Raises OSError."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer((host, port), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}{PATH}"
        server.shutdown()


def _page(lake: Lake) -> tuple[HTTPStatus, str]:
    try:
        text = read_text(lake, report_uri(lake))
    except LakeError as error:
        return HTTPStatus.SERVICE_UNAVAILABLE, str(error)
    return (HTTPStatus.NOT_FOUND, NONE_YET) if text is None else (HTTPStatus.OK, text)
