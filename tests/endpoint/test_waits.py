"""Waits follow the endpoint's headers; otherwise they are random and bounded."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate

import pytest

from preceptor.endpoint import client, failures
from preceptor.endpoint.concurrency import AdaptiveLimit, Gate
from tests.endpoint.faulty_server import FaultyServer, answer, echo, question, refusal
from tests.endpoint.teachers import collected, generator, requests


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Wed, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": formatdate(0, usegmt=True)}, 0),
        ({}, None),
    ],
)
def test_the_wait_is_read_from_the_headers(headers, seconds):
    assert failures.retry_after(headers) == seconds


def test_a_date_is_a_wait_until_then():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < failures.retry_after({"retry-after": soon}) <= 90


def test_backoff_doubles_up_to_a_bound_with_full_jitter(monkeypatch):
    monkeypatch.setattr(failures, "FIRST_SECONDS", 1.0)
    for faults, most in [(1, 1), (2, 2), (4, 8), (7, 60), (5000, 60)]:
        drawn = [failures.backoff(faults) for _ in range(400)]
        assert 0 <= min(drawn) < 0.1 * most
        assert 0.9 * most < max(drawn) <= most


def test_a_wait_requested_for_one_row_pauses_all_rows():
    def script(body, attempt):
        return refusal(429, headers={"retry-after": "500"}) if len(server.bodies) == 10 else answer("ok")

    with FaultyServer(script) as server:
        engine = generator(server.url, concurrency=4)
        stream = engine.stream(requests(400))
        for _ in range(9):
            next(stream)
        time.sleep(0.5)  # enough for all 400 without the pause
        assert len(server.bodies) < 30  # the tenth, and those in flight when its refusal came
        engine.close()


def test_a_row_waits_no_longer_in_total_than_its_backoffs(monkeypatch):
    waited = []

    def recorded(faults: int) -> float:
        waited.append((faults, failures.backoff(faults)))
        return waited[-1][1]

    monkeypatch.setattr(client, "backoff", recorded)
    with FaultyServer(lambda b, n: refusal(500) if "n 3" in question(b) else echo(b, n)) as server:
        answers = collected(generator(server.url, attempts=4).stream(requests(8)), 8)
    assert [a.error is None for a in answers] == [n != 3 for n in range(8)]
    assert [faults for faults, _ in waited] == [1, 2, 3, 4]
    assert sum(seconds for _, seconds in waited) <= 0.01 * (1 + 2 + 4 + 8)


def test_the_oldest_row_passes_first():
    passed = []

    async def pass_through(gate: Gate, row: int):
        async with gate.passage(row):
            passed.append(row)

    async def waiting_rows():
        gate = Gate(AdaptiveLimit(1))
        async with gate.passage(0):
            rows = [asyncio.create_task(pass_through(gate, row)) for row in (5, 3, 9, 1)]
            await asyncio.sleep(0)  # all of them wait now
        await asyncio.gather(*rows)

    asyncio.run(waiting_rows())
    assert passed == [1, 3, 5, 9]


def test_an_overloaded_server_answers_every_row_in_the_end():
    def script(body, attempt):
        if server.at_once > 5:
            return refusal(429, headers={"retry-after-ms": "20"})
        return answer("ok", seconds=0.01)

    with FaultyServer(script) as server:
        engine = generator(server.url, concurrency=64)
        answers = collected(engine.stream(requests(300)), 300)
    assert all(a.error is None for a in answers)


def test_the_bound_on_concurrency_is_kept():
    with FaultyServer(lambda body, n: answer("ok", seconds=0.005)) as server:
        engine = generator(server.url, concurrency=3)
        collected(engine.stream(requests(150)), 150)
    assert server.most_at_once <= engine.facts["highest_concurrency"] == 3
