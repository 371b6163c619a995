"""A key is removed from JSON too, also where a reply's texts, tokens or bytes spell it in sequence."""

import json
import logging

import pytest

from preceptor.compute.request import Decoding
from preceptor.endpoint.hidden import data_without_key
from preceptor.endpoint.rows import OTHER_WORDS
from tests.endpoint.faulty_server import FaultyServer, Play, answer, question, refusal
from tests.endpoint.teachers import conversations, generator, judge, requests, teacher
from tests.endpoint.test_encodings import BROKEN, ENCODINGS
from tests.endpoint.test_endpoint_errors import until_error

KEY = "sk-/Planted+Key_0123456789"
HELD = teacher("http://127.0.0.1:9/v1")


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def tokens(*texts: str) -> list[dict]:
    return [{"token": text, "logprob": -0.5, "bytes": list(text.encode())} for text in texts]


@pytest.mark.parametrize(
    "data",
    [
        {"a": [{"b": f"so {KEY}"}], KEY: 1},
        {"logprobs": {"content": tokens("so ", KEY[:9], KEY[9:], ".")}},
        {
            "logprobs": {
                "content": [{"token": "?", "bytes": list(KEY[n : n + 5].encode())} for n in range(0, 26, 5)]
            }
        },
        {"tokens": ["so", *KEY]},
        {"bytes": list(KEY.encode())},
        {"parts": ["sk-\\u002f", KEY[4:]]},
    ],
)
def test_no_part_of_a_reply_contains_the_key(data):
    kept = json.dumps(data_without_key(data, HELD))
    assert "[key]" in kept or '"bytes": []' in kept
    assert KEY[10:20] not in kept and KEY[10:20] not in "".join(json.loads(kept).get("tokens", []))
    assert str(list(KEY[5:10].encode()))[1:-1] not in kept


def test_the_rest_of_a_reply_is_kept():
    data = {"content": tokens("so ", KEY, "."), "ids": [7, 300], "none": None, "n": [1.5, True], "empty": []}
    kept = data_without_key(data, HELD)
    first, second, third = kept.pop("content")
    assert [first, third] == tokens("so ", ".")
    assert second == {"token": "[key]", "logprob": -0.5, "bytes": []}
    assert kept == {"ids": [7, 300], "none": None, "n": [1.5, True], "empty": []}


def test_a_short_key_is_not_removed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert data_without_key({"a": "EMPTY"}, HELD) == {"a": "EMPTY"}


def test_no_encoding_of_the_key_is_in_rows_errors_or_logs_of_teachers_and_judges(caplog):
    """Servers may repeat the key in answers, refusals, faults and redirects, in every encoding."""
    caplog.set_level(logging.INFO)
    ways_of_writing = [*ENCODINGS.values(), *BROKEN.values()]
    repeated = [f"so {encode(KEY)} then" for encode in ways_of_writing]

    def script(body, attempt):
        if question(body) == OTHER_WORDS:
            return answer("hi")
        text = repeated[len(server.bodies) % len(repeated)]
        ways = [
            answer(text),
            answer(None, refusal=text),
            answer(None, text),
            answer("hi", reasoning_content=text, reasoning=text),
            answer(None, reasoning_content=text),
            refusal(400, text),
            refusal(500, text),
            Play(422, json.dumps({"detail": [{"loc": ["body", text], text: text}]}).encode()),
            Play(body=f"<html>{text}</html>".encode()),
            Play(body=json.dumps({"error": {"message": text}}).encode()),
            Play(body=json.dumps([text]).encode("utf-16"), reason=KEY),
        ]
        return ways[len(server.bodies) // len(repeated) % len(ways)]

    with FaultyServer(script) as server:
        results = list(generator(server.url, Decoding(max_new_tokens=99), attempts=1).stream(requests(200)))
        results += list(judge(server.url, attempts=1).stream(conversations(200)))
    kept = [str(vars(result)) for _, result in results] + caplog.messages
    assert sum("[key]" in text for text in kept) > 200
    forms = {encode(KEY) for encode in ways_of_writing}
    assert [text for text in kept if any(form in text for form in forms)] == []


def test_no_encoding_of_the_key_is_in_an_endpoint_error():
    with FaultyServer() as server:
        for name in (
            "JSON, slashes too",
            "JSON, marks only",
            "URL",
            "HTML, decimal",
            "base64",
            "hexadecimal",
        ):
            encoded = ENCODINGS[name](KEY)
            location = {"location": f"http://host/{encoded}"}
            for play in (refusal(401, encoded), refusal(400, encoded), Play(302, headers=location)):
                server.script = lambda body, n, play=play: play
                _, error = until_error(generator(server.url, attempts=1).stream(requests(1)))
                assert encoded not in error and "[key]" in error
