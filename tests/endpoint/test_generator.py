"""A teacher over HTTP: every row comes once, whatever the server does, and errors give the reason."""

import threading
import time

import pytest

from preceptor.compute.request import Decoding, Generation, Request
from tests.endpoint.faulty_server import (
    FaultyServer,
    Play,
    answer,
    echo,
    faults_then_echo,
    question,
    refusal,
)
from tests.endpoint.teachers import collected, generator, requests

TRANSIENT = {
    "429": refusal(429, headers={"retry-after-ms": "30"}),
    "500": refusal(500),
    "502 in HTML": Play(502, b"<html>bad gateway</html>", {"content-type": "text/html"}),
    "409": refusal(409),
    "200 in HTML": Play(200, b"<html>please wait</html>", {"content-type": "text/html"}),
    "200 with an error": Play(200, b'{"error": {"message": "upstream"}}'),
    "truncated JSON": Play(200, b'{"choices": [{"mess'),
    "truncated body": Play(200, b'{"choices": [', {"content-length": "500", "connection": "close"}),
    "a list": Play(200, b"[1, 2]"),
    "no choices": Play(200, b'{"choices": []}'),
    "null content": answer(None),
    "reset": Play(reset=True),
    "hang": answer("late", seconds=3600),
}


@pytest.mark.parametrize("play", TRANSIENT.values(), ids=TRANSIENT)
def test_transient_failures_are_retried(play):
    with FaultyServer(faults_then_echo(play, play)) as server:
        seconds = 2 if play.seconds else 60
        engine = generator(server.url, timeout_seconds=seconds, attempts=3)
        answers = collected(engine.stream(requests(3)), 3)
    assert [a.turns for a in answers] == [(f"re: question {n}",) for n in range(3)]
    assert set(server.seen.values()) == {3}
    assert (engine.facts["requests"], engine.facts["retries"], engine.facts["rows_given_up"]) == (9, 6, 0)


def test_an_answer_has_its_token_counts_and_finish_reason():
    with FaultyServer(lambda body, n: answer("cut", "length", prompt=11, response=4)) as server:
        engine = generator(server.url)
        got = collected(engine.stream(requests(2)), 2)
    assert got == [Generation(("cut",), "length", 11, 4)] * 2
    assert (engine.facts["prompt_tokens"], engine.facts["response_tokens"]) == (22, 8)


def test_a_conversation_with_a_cut_turn_counts_as_cut():
    def first_turn_cut(body, n):
        return answer("a", "length" if len(body["messages"]) == 1 else "stop")

    with FaultyServer(first_turn_cut) as server:
        (got,) = collected(generator(server.url).stream([Request(None, ("one", "two"), 0)]), 1)
    assert (got.turns, got.finish_reason) == (("a", "a"), "length")


def test_an_empty_response_is_valid():
    with FaultyServer(lambda body, n: answer("", response=1)) as server:
        assert collected(generator(server.url).stream(requests(1)), 1) == [Generation(("",), "stop", 7, 1)]


def test_refused_rows_have_the_reason_and_other_rows_are_answered():
    plays = {
        "question 0": refusal(400, "This model's maximum context length is 256 tokens", code="too_long"),
        "question 1": refusal(422, "bad turn"),
        "question 2": answer("half a", "content_filter"),
        "question 3": answer(None, refusal="I had rather not."),
        "question 4": refusal(403, "Your input was flagged by moderation"),
    }
    with FaultyServer(lambda body, n: plays.get(question(body)) or echo(body, n)) as server:
        engine = generator(server.url)
        answers = collected(engine.stream(requests(7)), 7)
    errors = [a.error for a in answers]
    words = ["maximum context length", "422", "content filter", "rather not", "flagged"]
    assert all(word in error for word, error in zip(words, errors, strict=False))
    assert errors[5:] == [None, None]
    assert engine.facts["rows_given_up"] == 5


def test_a_row_without_attempts_left_has_the_last_error():
    def script(body, attempt):
        return refusal(500, f"broken {attempt}") if question(body) == "question 1" else echo(body, attempt)

    with FaultyServer(script) as server:
        answers = collected(generator(server.url, attempts=4).stream(requests(3)), 3)
    assert "4 attempts" in answers[1].error and "HTTP 500: broken 3" in answers[1].error
    assert [a.error for a in (answers[0], answers[2])] == [None, None]


def test_turns_follow_the_teachers_own_answers_and_share_the_attempts():
    with FaultyServer(faults_then_echo(refusal(500))) as server:
        request = Request("Be brief.", ("one", "two"), seed=5)
        (whole,) = collected(generator(server.url, attempts=3).stream([request]), 1)
        (failed,) = collected(generator(server.url, attempts=2).stream([Request(None, ("a", "b"), 5)]), 1)
    assert whole == Generation(("re: one", "re: two"), "stop", 14, 6)
    assert [m["content"] for m in server.bodies[3]["messages"]] == ["Be brief.", "one", "re: one", "two"]
    assert "in 2 attempts" in failed.error


def test_requests_have_the_decoding_settings_and_each_sample_its_own_seed():
    decoding = Decoding(temperature=0.7, top_p=0.9, top_k=20, max_new_tokens=9, stop=("END",))
    with FaultyServer() as server:
        asked = [Request(None, ("Hi", "More"), 2**61 + sample) for sample in range(3)]
        collected(generator(server.url, decoding).stream(asked), 3)
    fixed = {"model": "scripted", "temperature": 0.7, "top_p": 0.9, "top_k": 20, "max_tokens": 9}
    assert all(fixed.items() <= body.items() and body["stop"] == ["END"] for body in server.bodies)
    seeds = {body["seed"] for body in server.bodies}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_model_that_uses_all_tokens_for_reasoning_is_a_row_error_at_once():
    def script(body, attempt):
        if question(body) == "question 0":
            return answer(None, "length", response=5)
        return answer("", "length", response=5) if question(body) == "question 1" else echo(body, attempt)

    with FaultyServer(script) as server:
        engine = generator(server.url, attempts=4)
        answers = collected(engine.stream(requests(3)), 3)
        alone = collected(generator(server.url).stream(requests(1)), 1)  # it works: no test request
    assert len(server.bodies) == 3 + 1
    assert all("max_new_tokens" in a.error for a in (answers[0], answers[1], alone[0]))
    assert answers[2].error is None
    assert (engine.facts["requests"], engine.facts["response_tokens"]) == (3, 13)


def test_parameters_that_are_off_are_not_sent():
    with FaultyServer() as server:
        collected(generator(server.url).stream(requests(1)), 1)
    assert not {"top_k", "stop", "extra_body"} & server.bodies[0].keys()


def test_a_model_with_another_name_for_max_tokens_gets_that_name():
    def script(body, attempt):
        if "max_tokens" in body:
            return refusal(400, "use the other", code="unsupported_parameter", param="max_tokens")
        return echo(body, attempt)

    with FaultyServer(script) as server:
        engine = generator(server.url, attempts=1, concurrency=1)
        assert all(a.error is None for a in collected(engine.stream(requests(3)), 3))
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 5, 5, 5]
    assert engine.facts["requests"] == 4


def test_a_model_that_refuses_seeds_is_asked_without_from_then_on(caplog):
    def script(body, attempt):
        if "seed" in body:
            return refusal(400, "no seeds", code="unsupported_parameter", param="seed")
        return echo(body, attempt)

    with FaultyServer(script) as server:
        engine = generator(server.url, attempts=1, concurrency=1)
        for _ in range(2):
            assert all(a.error is None for a in collected(engine.stream(requests(3)), 3))
    assert ["seed" in body for body in server.bodies] == [True] + [False] * 6
    assert len([r for r in caplog.records if "'seed'" in r.message]) == 1


def test_the_price_includes_unusable_answers():
    with FaultyServer(faults_then_echo(answer(None, prompt=1000, response=50))) as server:
        engine = generator(server.url, prices={"prompt": 3.0, "response": 10.0})
        collected(engine.stream(requests(2)), 2)
    # Twice: 1000 + 7 prompt tokens at 3 per million, 50 + 3 response tokens at 10 per million.
    assert engine.facts["price"] == pytest.approx(2 * (1007 * 3 + 53 * 10) / 1e6)


def test_without_prices_there_is_no_price():
    with FaultyServer() as server:
        engine = generator(server.url)
        collected(engine.stream(requests(1)), 1)
    assert "price" not in engine.facts


def test_the_key_comes_from_the_named_variable_or_is_a_placeholder(monkeypatch):
    monkeypatch.setenv("SOME_KEY", " secret\n")
    monkeypatch.delenv("NO_KEY", raising=False)
    with FaultyServer() as server:
        collected(generator(server.url, api_key_variable="SOME_KEY").stream(requests(1)), 1)
        collected(generator(server.url, api_key_variable="NO_KEY").stream(requests(1)), 1)
    assert server.keys == ["secret", "empty"]


def test_closing_the_stream_cancels_requests_in_flight():
    before = set(threading.enumerate())
    with FaultyServer(lambda body, n: answer("x", seconds=0 if "n 0" in question(body) else 3600)) as server:
        engine = generator(server.url)
        stream = engine.stream(requests(50))
        assert next(stream)[0] == 0
        engine.close()
        assert list(stream) == []
        assert set(threading.enumerate()) - before == {server.thread}
    assert len(server.bodies) < 50


def test_no_rows_send_no_requests():
    with FaultyServer() as server:
        assert list(generator(server.url).stream([])) == []
    assert server.bodies == []


def test_a_programming_error_is_raised():
    with FaultyServer() as server, pytest.raises(AttributeError):
        list(generator(server.url).stream([None]))


def test_a_slow_consumer_pauses_the_requests():
    with FaultyServer() as server:
        stream = generator(server.url, concurrency=2).stream(requests(500))
        next(stream)
        time.sleep(0.5)
        taken = len(server.bodies)
        assert taken <= 2 * 2 + 20 + 2
        assert len(list(stream)) == 499
    assert len(server.bodies) == 500
