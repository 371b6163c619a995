"""The served report and ranking, and errors that `make ui` reports at once."""

import http.client
import io
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import pytest
from PIL import Image

from jobs.report_page import serve_report
from preceptor.lake.files import write_text
from preceptor.lake.schemas import CAR_TABLE
from preceptor.report.publish import report_uri
from tests.studies import write_study

CHECKOUT = Path(__file__).parents[2]


def fetch(url: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_only_the_newest_report_is_served(lake):
    with serve_report(lake, "127.0.0.1", 0) as addresses:
        url = addresses.report
        status, _, text = fetch(url)
        assert status == 404 and "raw_instructions" in text
        Path(report_uri(lake)).parent.mkdir(parents=True)
        for page in ("<h1>β</h1>", "<h1>newer</h1>"):
            write_text(lake, report_uri(lake), page)
            assert fetch(url) == (200, "text/html; charset=utf-8", page)
        Path(report_uri(lake)).with_name("secret").write_text("key")
        assert fetch(url.removesuffix("report.html"))[2] == page
        for other in ("/secret", "/../report.html/../secret", "/report.html/%2e%2e/secret"):
            status, kind, text = fetch(url.removesuffix("/report.html") + other)
            assert (status, kind) == (404, "text/plain; charset=utf-8") and "key" not in text


def test_head_returns_the_headers_of_get_without_a_body(lake):
    with serve_report(lake, "127.0.0.1", 0) as addresses:
        for page in (None, "<h1>β</h1>"):
            if page:
                Path(report_uri(lake)).parent.mkdir(parents=True)
                write_text(lake, report_uri(lake), page)
            for path in ("/report.html", "/", "/ranking.png", "/secret"):
                heads = []
                for method in ("GET", "HEAD"):
                    connection = http.client.HTTPConnection(urlsplit(addresses.report).netloc, timeout=120)
                    connection.request(method, path)
                    answer = connection.getresponse()
                    told = answer.status, answer.headers["Content-Type"], answer.headers["Content-Length"]
                    heads.append(told)
                    assert len(answer.read()) == (int(told[2]) if method == "GET" else 0)
                assert heads[0] == heads[1]


def test_the_ranking_is_drawn_at_each_request(lake):
    def picture():
        with urllib.request.urlopen(addresses.ranking, timeout=120) as answer:
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["Cache-Control"] == "no-store"
            return Image.open(io.BytesIO(answer.read())).size

    known = {"mean_reward": 0.5, "mean_loss": 1.0, "beta": 3.0, "form": "ratio", "tokens_scored": 1.0}
    with serve_report(lake, "127.0.0.1", 0) as addresses:
        sizes = [picture()]
        for teachers in (2, 12):
            rows = [
                dict.fromkeys(CAR_TABLE.row_schema)
                | {
                    "base": "$b$",
                    "teacher": f"$t{n}",
                    "rank": n,
                    "rank_low": 1,
                    "rank_high": 12,
                    "car": 0.1 / n,
                }
                | known
                for n in range(1, teachers + 1)
            ]
            table = pl.DataFrame(rows, schema=CAR_TABLE.row_schema)
            lake.publish(CAR_TABLE, table, {}, f"made-{teachers}")
            sizes.append(picture())
    assert sizes[0][1] < sizes[1][1] < sizes[2][1]  # words, then more and more teachers


def test_a_report_that_cannot_be_read_is_an_error_with_the_reason(lake):
    Path(report_uri(lake)).mkdir(parents=True)
    with serve_report(lake, "127.0.0.1", 0) as addresses:
        status, kind, text = fetch(addresses.report)
    assert (status, kind) == (503, "text/plain; charset=utf-8")
    assert text.startswith("cannot read ")


def serve(study: str, port: int, folder: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PRECEPTOR_STUDY": study, "DAGSTER_HOME": str(folder / "home")}
    environment["PRECEPTOR_STORE"] = str(folder / "store")
    command = [sys.executable, "-m", "jobs.serve", "--port", str(port)]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, text=True, capture_output=True, timeout=600)


@pytest.mark.parametrize("used", [0, 1])
def test_a_used_port_is_reported_in_one_line(tmp_path, used):
    study = write_study(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = serve(str(study), port - used, tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"port {port} of 127.0.0.1 cannot be used")
    assert refused.stderr.count("\n") == 1 and "make ui PORT=" in refused.stderr


def test_a_missing_or_broken_study_is_reported_without_a_traceback(tmp_path):
    assert serve("", 0, tmp_path).stderr.startswith("PRECEPTOR_STUDY is not set: export the path of a study")
    (tmp_path / "broken.yaml").write_text("name: broken\nteachers: [{name: x, engine: vlm}]\n")
    refused = serve(str(tmp_path / "broken.yaml"), 0, tmp_path)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "broken.yaml" in refused.stderr and "vlm" in refused.stderr
    assert not (tmp_path / "home").exists()
