"""A failure of the endpoint stops the work with advice, after finished rows, and marks no row."""

import socket

import pytest

from preceptor.endpoint.errors import EndpointError
from tests.endpoint.faulty_server import FaultyServer, Play, echo, question, refusal
from tests.endpoint.teachers import collected, generator, requests

GONE = {
    "401": (refusal(401, "bad key"), "OPENAI_API_KEY"),
    "403": (refusal(403, "not yours"), "api_key_variable"),
    "unknown model": (refusal(404, "nope", code="model_not_found"), "Correct 'model'"),
    "vLLM's unknown model": (refusal(404, "The model `x` does not exist.", param="model"), "Correct 'model'"),
    "a wrong path": (Play(404, b'{"detail": "Not Found"}'), "usually ends in /v1"),
    "no quota": (refusal(429, "pay", code="insufficient_quota"), "no quota is left"),
    "no money": (refusal(402, "Insufficient Balance"), "no quota is left"),
    "no credit": (refusal(400, "Your credit balance is too low to access the API."), "no quota is left"),
    "a parameter": (
        refusal(400, "x", code="unsupported_value", param="temperature"),
        "'leave_out: [temperature]'",
    ),
    "a day's wait": (refusal(429, headers={"retry-after": "86400"}), "86,400 s"),
}


def until_error(stream) -> tuple[list[int], str]:
    """The rows that came before the error, and the error."""
    rows, results = [], []
    with pytest.raises(EndpointError) as raised:
        for number, result in stream:
            rows.append(number)
            results.append(result)
    assert all(result.error is None for result in results)
    return rows, str(raised.value)


@pytest.mark.parametrize(("play", "advice"), GONE.values(), ids=GONE)
def test_one_fatal_refusal_stops_the_work_with_advice(play, advice):
    with FaultyServer(lambda body, n: play) as server:
        rows, error = until_error(generator(server.url, concurrency=1).stream(requests(9)))
    assert rows == []
    assert advice in error
    assert server.url in error
    assert len(server.bodies) == 1


def test_finished_rows_come_before_the_error():
    def script(body, attempt):
        return refusal(401) if question(body) == "question 5" else echo(body, attempt)

    with FaultyServer(script) as server:
        rows, _ = until_error(generator(server.url, concurrency=1).stream(requests(9)))
    assert rows == [0, 1, 2, 3, 4]


def test_a_dead_port_is_one_error_and_not_one_per_row():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        rows, error = until_error(generator(url, attempts=3).stream(requests(100)))
    assert rows == []
    assert url in error
    assert "6 connections" in error


def test_a_server_that_dies_midway_is_an_error_after_its_answers():
    with FaultyServer() as server:
        stream = generator(server.url, attempts=2, concurrency=2).stream(requests(400))
        first = [next(stream)[0] for _ in range(3)]
    rows, error = until_error(stream)
    assert "cannot be reached" in error
    assert len(first + rows) == len(set(first + rows)) < 400


def test_connections_that_break_once_are_retried():
    with FaultyServer(lambda body, n: echo(body, n) if n else Play(reset=True)) as server:
        engine = generator(server.url, attempts=3, concurrency=40)
        engine_rows = collected(engine.stream([*requests(1), *requests(40)[1:]]), 40)
    assert all(row.error is None for row in engine_rows)


def test_a_key_with_invalid_characters_is_an_error_that_names_its_variable(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "“quoted”")
    _, error = until_error(generator("http://127.0.0.1:9/v1").stream(requests(1)))
    assert "OPENAI_API_KEY" in error
    assert "quoted" not in error
