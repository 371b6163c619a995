"""Bad replies (size, numbers, types, redirects) are detected, and cost only their own row."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.compute.request import Decoding, Generation, Request
from preceptor.endpoint import client
from preceptor.endpoint.completion import parsed, read_completion, read_usage
from preceptor.endpoint.errors import Fault, RowError
from preceptor.endpoint.rows import OTHER_WORDS
from preceptor.responses.rows import response_frame, response_row
from tests.endpoint.faulty_server import FaultyServer, Play, answer, echo, question, refusal
from tests.endpoint.teachers import collected, generator, requests
from tests.endpoint.test_endpoint_errors import until_error


def test_a_huge_reply_is_aborted_and_the_other_rows_are_answered(monkeypatch):
    monkeypatch.setattr(client, "LARGEST_REPLY", 20_000)

    def script(body, attempt):
        return answer("x" * 50_000) if question(body) == "question 1" else echo(body, attempt)

    with FaultyServer(script) as server:
        rows = collected(generator(server.url, attempts=2).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "longer than" in rows[1].error


@pytest.mark.parametrize("status", [200, 400])
def test_a_compressed_reply_is_never_decompressed(status):
    packed = gzip.compress(answer("x" * 10_000_000).body)

    def script(body, attempt):
        if question(body) == "question 1":
            return Play(status, packed, {"content-encoding": "gzip"})
        return echo(body, attempt)

    with FaultyServer(script) as server:
        rows = collected(generator(server.url, attempts=2).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "compressed (gzip)" in rows[1].error


def test_a_reply_far_beyond_its_tokens_is_aborted():
    """The limit is 1 MiB plus 1 KiB per token, and 5 tokens were requested."""

    def script(body, attempt):
        return answer("x" * 1_100_000) if question(body) == "question 1" else echo(body, attempt)

    with FaultyServer(script) as server:
        rows = collected(generator(server.url, attempts=2).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "longer than 1 MiB" in rows[1].error


@pytest.mark.parametrize("characters", [256 * (5 + 4), 256 * (5 + 4) + 1])
def test_an_answer_with_too_many_characters_for_its_tokens_is_a_row_error_at_once(characters):
    with FaultyServer(lambda body, n: answer("x" * characters)) as server:
        engine = generator(server.url)
        (row,) = collected(engine.stream(requests(1)), 1)
    assert len(server.bodies) == 1
    assert (row.error is None) == (characters == 2304)
    assert row.error is None or ("2,305 characters" in row.error and "5 tokens" in row.error)
    assert engine.facts["response_tokens"] == 3  # they are charged whether the answer is kept or not


def test_a_token_limit_in_extra_body_allows_longer_answers():
    with FaultyServer(lambda body, n: answer("x" * 20_000)) as server:
        engine = generator(server.url, leave_out=["max_tokens"], extra_body={"max_completion_tokens": 100})
        (row,) = collected(engine.stream(requests(1)), 1)
    assert row.error is None


COUNTS = ["1e30", "1" + "0" * 30, "1" + "0" * 5000, "-1", "3.0", '"7"', "true", "null", "[7]", "NaN", "1e999"]


@pytest.mark.parametrize("count", COUNTS, ids=[count[:9] for count in COUNTS])
def test_an_invalid_token_count_is_unknown(count):
    body = '{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}], "created": %s,'
    body = (body + ' "usage": {"prompt_tokens": %s, "completion_tokens": 3}}') % (count, count)
    with FaultyServer(lambda b, n: Play(body=body.encode())) as server:
        engine = generator(server.url, prices={"prompt": 1.0, "response": 1.0})
        rows = collected(engine.stream(requests(2)), 2)
    assert rows == [Generation(("ok",), "stop", None, 3)] * 2
    assert (engine.facts["prompt_tokens"], engine.facts["response_tokens"]) == (0, 6)


NAMES = ["choices", "message", "content", "text", "type", "refusal", "tool_calls", "function", "arguments"]
NAMES += ["finish_reason", "logprobs", "usage", "prompt_tokens", "completion_tokens", "error"]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inside, max_size=4),
    max_leaves=12,
)


@given(ANYTHING, st.sampled_from(["whole", "choices", "choice", "message", "content"]))
def test_any_reply_becomes_a_row_or_an_error_that_fits_the_table(anything, place):
    shapes = {
        "whole": anything,
        "choices": {"choices": anything, "usage": anything},
        "choice": {"choices": [anything], "usage": {"prompt_tokens": anything}},
        "message": {"choices": [{"message": anything, "finish_reason": anything}]},
        "content": {"choices": [{"message": {"content": anything, "refusal": None}, "logprobs": anything}]},
    }
    try:
        data = parsed(json.dumps(shapes[place]).encode(), lambda kept: kept)
        completion, error = read_completion(data, 5), None
        assert 0 <= (read_usage(data).prompt_tokens or 0) <= 10**9
    except (Fault, RowError) as failure:
        completion, error = None, str(failure)
    turns = (completion.text,) if completion else ()
    assert response_frame([response_row("t", "i", "h", 0, turns, error)]).height == 1


def test_a_lone_surrogate_is_replaced_before_the_next_turn():
    def script(body, attempt):
        asked = question(body)
        if asked == "refused":
            return answer(None, refusal="no \ud800!")
        return refusal(400, "bad \ud83d") if asked == "bad" else answer("half \ud83d")

    with FaultyServer(script) as server:
        asked = [Request(None, turns, 1) for turns in [("one", "two"), ("refused",), ("bad",)]]
        whole, refused, bad = collected(generator(server.url, concurrency=1).stream(asked), 3)
    assert whole.turns == ("half \ufffd", "half \ufffd")
    assert refused.error == "the model refused: no \ufffd!" and "bad \ufffd" in bad.error


@pytest.mark.parametrize(
    ("reason", "finish", "error"),
    [
        ("length", "length", None),
        ("max_tokens", "length", None),
        ("MAX_TOKENS", "length", None),
        ("model_length", "length", None),
        ("end_turn", "stop", None),
        (None, "stop", None),
        (["stop"], "stop", None),
        ("SAFETY", None, "withheld"),
        ("error", None, "broke off"),
    ],
)
def test_finish_reasons_of_any_provider_are_understood(reason, finish, error):
    def script(body, attempt):
        return answer("hi") if question(body) == OTHER_WORDS else answer("ok", reason)

    with FaultyServer(script) as server:
        (row,) = collected(generator(server.url, attempts=2).stream(requests(1)), 1)
    assert row.finish_reason == finish
    assert (row.error is None) if error is None else (error in row.error)


def test_text_parts_are_joined_and_reasoning_is_skipped():
    parts = [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "o"}, {"text": "k"}]
    with FaultyServer(lambda body, n: answer(parts)) as server:
        (row,) = collected(generator(server.url).stream(requests(1)), 1)
    assert row.turns == ("ok",)


def test_an_answer_with_only_reasoning_is_named():
    with FaultyServer(lambda body, n: answer(None, reasoning_content="hm")) as server:
        _, error = until_error(generator(server.url, attempts=1).stream(requests(1)))
    assert "reasoning but no text (finish_reason 'stop')" in error


@pytest.mark.parametrize("charset", ["hex", "rot13", "utf-16", "no-such"])
def test_a_charset_header_does_not_change_how_a_refusal_is_decoded(charset):
    play = refusal(400, "too long", {"content-type": f"application/json; charset={charset}"})
    with FaultyServer(lambda b, n: echo(b, n) if question(b) != "question 1" else play) as server:
        rows = collected(generator(server.url).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "too long" in rows[1].error


def test_a_reply_in_utf_16_is_read():
    body = json.dumps({"choices": [{"message": {"content": "é"}}]}, ensure_ascii=False).encode("utf-16")
    with FaultyServer(lambda b, n: Play(body=body)) as server:
        (row,) = collected(generator(server.url).stream(requests(1)), 1)
    assert row.turns == ("é",)


@pytest.mark.parametrize(
    "location", ["http://[bad", "//", "http://host:99999999/", "", "file:///etc/passwd", "\x7f"]
)
def test_a_redirect_to_an_invalid_address_is_an_endpoint_error(location):
    with FaultyServer(lambda b, n: Play(302, b"", {"location": location})) as server:
        _, error = until_error(generator(server.url, attempts=1, concurrency=1).stream(requests(1)))
    assert "HTTP 302" in error or "no connection" in error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_named(status):
    with FaultyServer() as elsewhere, FaultyServer() as server:
        server.script = lambda b, n: Play(status, b"", {"location": f"{elsewhere.url}/chat/completions"})
        rows, error = until_error(generator(server.url, concurrency=1).stream(requests(3)))
        assert rows == [] and elsewhere.bodies == [] and len(server.bodies) == 1
    assert f"'{elsewhere.url}/chat/completions' (HTTP {status})" in error
    assert "'base_url'" in error


def test_invalid_bytes_are_a_fault_and_not_lost_letters():
    """A server that declares `charset=iso-8859-1` uses it, and each accent would become U+FFFD."""
    body = json.dumps({"choices": [{"message": {"content": "café"}}]}, ensure_ascii=False).encode("latin-1")

    def script(asked, attempt):
        headers = {"content-type": "application/json; charset=iso-8859-1"}
        return Play(body=body, headers=headers) if question(asked) == "question 1" else echo(asked, attempt)

    with FaultyServer(script) as server:
        rows = collected(generator(server.url, attempts=2).stream(requests(3)), 3)
    assert [row.error is None for row in rows] == [True, False, True]
    assert "not valid utf-8 (byte 41)" in rows[1].error


def test_a_function_call_is_an_answer_only_if_the_request_offers_tools():
    call = {"type": "function", "function": {"name": "search", "arguments": '{"query": "rivers"}'}}
    with FaultyServer(lambda body, n: answer(None, finish="tool_calls", tool_calls=[call])) as server:
        _, error = until_error(generator(server.url, attempts=1).stream(requests(1)))
        offered = generator(server.url, extra_body={"tools": [{"type": "function"}]})
        (row,) = collected(offered.stream(requests(1)), 1)
    assert "no text (finish_reason 'tool_calls')" in error
    assert row.turns == ('{"query": "rivers"}',)


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_response_ends_before_its_stop_text_whatever_the_server_keeps(finish):
    """Some servers keep the stop text or ignore `stop`."""
    decoding = Decoding(max_new_tokens=50, stop=("\nUser:", "END"))
    said = "Three rivers.\nUser: more END"
    with FaultyServer(lambda body, n: answer(said, finish)) as server:
        (row,) = collected(generator(server.url, decoding).stream(requests(1)), 1)
    assert (row.turns, row.finish_reason) == (("Three rivers.",), "stop")


@pytest.mark.parametrize(("prompt", "response", "known"), [(0, 0, (None, None)), (7, 0, (7, 0))])
def test_a_prompt_count_of_0_means_that_the_server_does_not_count(prompt, response, known):
    with FaultyServer(lambda body, n: answer("Three rivers.", prompt=prompt, response=response)) as server:
        (row,) = collected(generator(server.url).stream(requests(1)), 1)
    assert (row.prompt_tokens, row.response_tokens) == known
