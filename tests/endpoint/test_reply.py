"""A reply has a largest size, packed or not; only that row is lost."""

import gzip

import pytest

from preceptor.endpoint import reply
from tests.endpoint.faulty_server import FaultyServer, Play, answer, echo, question
from tests.endpoint.teachers import collected, generator, requests


def test_a_reply_without_end_is_broken_off_and_the_other_rows_go_on(monkeypatch):
    monkeypatch.setattr(reply, "LARGEST", 20_000)

    def script(body, attempt):
        return answer("x" * 50_000) if question(body) == "question 1" else echo(body, attempt)

    with FaultyServer(script) as server:
        rows = collected(generator(server.url, attempts=2).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "longer than" in rows[1].error


@pytest.mark.parametrize("status", [200, 400])
def test_a_packed_reply_is_never_unpacked(status):
    packed = gzip.compress(answer("x" * 10_000_000).body)

    def script(body, attempt):
        if question(body) == "question 1":
            return Play(status, packed, {"content-encoding": "gzip"})
        return echo(body, attempt)

    with FaultyServer(script) as server:
        rows = collected(generator(server.url, attempts=2).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "packed" in rows[1].error
