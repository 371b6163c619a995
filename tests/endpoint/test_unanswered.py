"""Unanswered rows become error rows only if the endpoint answers a test request with a short text."""

import json
from dataclasses import replace

import pytest

from preceptor.compute.request import Decoding, Request
from preceptor.endpoint.rows import MOST_UNANSWERED, OTHER_WORDS
from tests.endpoint.faulty_server import FaultyServer, Play, answer, echo, question, refusal
from tests.endpoint.teachers import collected, conversations, generator, judge, requests
from tests.endpoint.test_endpoint_errors import until_error

EXTRA = Play(422, b'{"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]}')
DOWN = {
    "an unknown parameter": (EXTRA, "Extra inputs are not permitted"),
    "an unknown billing message": (refusal(400, "Top up to go on."), "Top up to go on."),
    "errors": (refusal(500, "out of memory"), "out of memory"),
    "no text": (answer(None), "no text"),
    "a gateway without a server": (refusal(404, "no route"), "no route"),
}


def after(rows: int, play: Play):
    """This many requests are answered; then each gets `play`."""
    answered = []

    def script(body, attempt):
        if len(answered) == rows:
            return play
        answered.append(question(body))
        return echo(body, attempt)

    return script


def rows_get(play: Play):
    """Every row's own text gets `play`; other texts are answered."""
    return lambda body, n: play if question(body).startswith("question") else echo(body, n)


@pytest.mark.parametrize("answered", [0, 5])
@pytest.mark.parametrize("count", [7, 200], ids=["few left", "many left"])
@pytest.mark.parametrize(("play", "sentence"), DOWN.values(), ids=DOWN)
def test_an_endpoint_that_answers_no_request_marks_no_row(play, sentence, count, answered):
    with FaultyServer(after(answered, play)) as server:
        engine = generator(server.url, attempts=2, concurrency=8)
        rows, error = until_error(engine.stream(requests(count)))
    assert len(rows) == answered
    assert sentence in error
    assert server.url in error
    assert engine.facts["rows_given_up"] == 0
    assert len(server.bodies) <= answered + 2 * (MOST_UNANSWERED + 8 + 1)


def test_late_answers_after_the_credit_ended_mark_no_row():
    # The first four rows are sent before the credit ends, and answered one by one while others are refused.
    late = {f"question {n}": answer("late", seconds=0.1 + 0.05 * n) for n in range(4)}
    refused = replace(refusal(400, "Top up to go on."), seconds=0.015)

    def script(body, attempt):
        return late.get(question(body), refused)

    with FaultyServer(script) as server:
        engine = generator(server.url, concurrency=8)
        rows, error = until_error(engine.stream(requests(100)))
    assert set(rows) <= {0, 1, 2, 3}
    assert len(rows) >= 2
    assert "Top up to go on." in error


@pytest.mark.parametrize("count", [1, 7, 60])
@pytest.mark.parametrize(
    "play", [refusal(400, "too long"), refusal(422, "bad turn"), refusal(500), answer(None)]
)
def test_rows_that_fail_by_their_own_texts_become_error_rows(play, count):
    with FaultyServer(rows_get(play)) as server:
        engine = generator(server.url, attempts=1, concurrency=4)
        answers = collected(engine.stream(requests(count)), count)
    assert all(a.error is not None for a in answers)
    assert engine.facts["rows_given_up"] == count
    asked = sum(question(body) == OTHER_WORDS for body in server.bodies)
    assert 1 <= asked <= 1 + count // MOST_UNANSWERED


def test_rows_that_fail_become_error_rows_while_others_are_answered():
    def script(body, attempt):
        return echo(body, attempt) if int(question(body)[9:]) % 9 == 0 else refusal(500)

    with FaultyServer(script) as server:
        answers = collected(generator(server.url, attempts=1, concurrency=1).stream(requests(100)), 100)
    assert sum(a.error is None for a in answers) == 12
    assert len(server.bodies) == 100  # no test request was needed


def test_the_test_request_differs_only_in_its_texts():
    decoding = Decoding(temperature=0.7, top_k=20, max_new_tokens=9, stop=("END",))
    with FaultyServer(lambda b, n: refusal(400) if question(b) == "More" else echo(b, n)) as server:
        asked = Request("Be brief.", ("Hi", "More"), 5)
        (row,) = collected(generator(server.url, decoding).stream([asked]), 1)
    assert "HTTP 400" in row.error
    refused, other = server.bodies[-2:]
    assert [m["role"] for m in other["messages"]] == [m["role"] for m in refused["messages"]]
    assert {m["content"] for m in other["messages"]} == {OTHER_WORDS}
    assert refused | {"messages": []} == other | {"messages": []}


def test_a_short_outage_is_waited_for():
    def script(body, attempt):
        deployed = question(body) == "question 0" or attempt > 0
        return echo(body, attempt) if deployed else refusal(404, "no route")

    with FaultyServer(script) as server:
        answers = collected(generator(server.url, concurrency=1).stream(requests(5)), 5)
    assert all(a.error is None for a in answers)


def test_a_filtered_answer_shows_that_the_endpoint_works():
    def script(body, attempt):
        return answer("x", "content_filter") if question(body) == OTHER_WORDS else refusal(400, "too long")

    with FaultyServer(script) as server:
        answers = collected(generator(server.url).stream(requests(3)), 3)
    assert all("too long" in a.error for a in answers)


@pytest.mark.parametrize("count", [3, 50])
def test_a_judge_without_credit_marks_no_row(count):
    with FaultyServer(lambda body, n: refusal(400, "Top up to go on.")) as server:
        engine = judge(server.url, concurrency=4)
        rows, error = until_error(engine.stream(conversations(count)))
    assert rows == []
    assert "Top up to go on." in error


def test_a_judge_that_cannot_take_long_responses_grades_the_rest():
    def script(body, attempt):
        if question(body) == OTHER_WORDS or "response 0\n" in question(body):
            return answer(json.dumps({"reasoning": "", "score": 4}))
        return refusal(400, "too long")

    with FaultyServer(script) as server:
        rewards = collected(judge(server.url, concurrency=4).stream(conversations(30)), 30)
    assert rewards[0].reward == 4
    assert all("too long" in reward.error for reward in rewards[1:])
