"""Requests have the study's parameters without the refused ones. Errors name the setting to change."""

import pytest

from preceptor.compute.request import Decoding
from preceptor.fingerprint import fingerprint
from preceptor.responses.generate import VERSION, generation_fingerprint
from preceptor.rewards.score import reward_fingerprint
from preceptor.study.judges import PromptedJudge
from preceptor.study.reward_models import JudgeRewardModel
from tests.endpoint.faulty_server import FaultyServer, Play, echo, question, refusal
from tests.endpoint.teachers import collected, conversations, generator, judge, requests, teacher
from tests.endpoint.test_endpoint_errors import until_error
from tests.rewards.test_judge import by_number

URL = "http://127.0.0.1:9/v1"
EXTRA = (
    b'{"message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "%s"], "msg": "not permitted"}]}}'
)
REFUSALS = {
    "Mistral": Play(422, EXTRA % b"seed"),
    "a sentence": refusal(400, "Unknown field `seed`."),
    "OpenAI": refusal(400, "no", code="unsupported_parameter", param="seed"),
    "without its name": refusal(400, "Ungültige Anfrage"),
}


def refusing(name: str, play: Play):
    return lambda body, n: play if name in body else echo(body, n)


@pytest.mark.parametrize("play", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_seed_is_left_out_however_the_refusal_is_worded(play, caplog):
    with FaultyServer(refusing("seed", play)) as server:
        engine = generator(server.url, attempts=1, concurrency=1)
        answers = collected(engine.stream(requests(4)), 4)
    assert [a.error for a in answers] == [None] * 4
    assert ["seed" in body for body in server.bodies] == [True] + [False] * 4
    assert len([r for r in caplog.records if "'seed'" in r.message]) == 1


def test_a_refusal_that_quotes_the_word_seed_does_not_stop_seeds():
    def script(body, attempt):
        return (
            refusal(400, "the text 'plant a seed' is too long")
            if "n 2" in question(body)
            else echo(body, attempt)
        )

    with FaultyServer(script) as server:
        answers = collected(generator(server.url, concurrency=1).stream(requests(5)), 5)
        first = collected(generator(server.url, concurrency=1).stream(requests(5)[2:]), 3)
    assert [a.error is None for a in answers] == [True, True, False, True, True]
    assert [a.error is None for a in first] == [False, True, True]
    assert sum("seed" not in body for body in server.bodies) == 1  # tried once, before any seed was taken


def test_a_message_that_names_max_tokens_makes_the_other_name_be_tried():
    play = refusal(400, "max_tokens is not supported, use max_completion_tokens")
    with FaultyServer(refusing("max_tokens", play)) as server:
        answers = collected(generator(server.url, attempts=1, concurrency=1).stream(requests(3)), 3)
    assert [a.error for a in answers] == [None] * 3
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 5, 5, 5]


def test_a_judge_that_refuses_the_temperature_is_asked_without():
    def script(body, attempt):
        if "temperature" in body:
            return refusal(400, "`temperature` is deprecated for this model")
        return by_number(body, attempt)

    with FaultyServer(script) as server:
        rewards = collected(judge(server.url, concurrency=1).stream(conversations(3)), 3)
    assert [reward.reward for reward in rewards] == [1, 2, 3]


@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        ({}, {"temperature": 0.0}),
        ({"temperature": 0.7}, {"temperature": 0.7}),
        ({"temperature": 0.7, "top_p": 1.0}, {"temperature": 0.7, "top_p": 1.0}),
        ({"top_p": 0.9}, {"temperature": 0.0, "top_p": 0.9}),
    ],
)
def test_top_p_is_sent_only_where_the_study_sets_it(sampling, sent):
    with FaultyServer() as server:
        engine = generator(server.url, Decoding(**sampling, max_new_tokens=5), sampling=sampling)
        collected(engine.stream(requests(1)), 1)
    fixed = {"model": "scripted", "max_tokens": 5}
    assert {k: v for k, v in server.bodies[0].items() if k not in ("messages", "seed")} == fixed | sent


def test_any_parameter_can_be_left_out_or_added():
    added = {"reasoning_effort": "low", "chat_template_kwargs": {"thinking": False}, "top_k": -1}
    with FaultyServer() as server:
        left = generator(server.url, leave_out=["temperature", "seed", "max_tokens"], extra_body=added)
        collected(left.stream(requests(1)), 1)
        without_format = judge(server.url, leave_out=["response_format"], attempts=1)
        list(without_format.stream(conversations(1)))
    assert {k: v for k, v in server.bodies[0].items() if k != "messages"} == {"model": "scripted"} | added
    assert server.bodies[1].keys() == {"model", "messages", "temperature", "seed", "max_tokens"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (
            {"sampling": {"temperature": 0.7, "top_p": 0.9}},
            ["'sampling.temperature'", "'sampling.top_p'", "'leave_out: [top_p]'"],
        ),
        ({"extra_body": {"top_p": 0.5}}, ["'sampling.temperature'", "'extra_body.top_p'"]),
    ],
)
def test_a_refusal_names_the_settings_to_change(settings, names):
    def script(body, attempt):
        both = {"temperature", "top_p"} <= body.keys()
        return (
            refusal(400, "`temperature` and `top_p` cannot both be specified.")
            if both
            else echo(body, attempt)
        )

    sampling = settings.get("sampling", {})
    with FaultyServer(script) as server:
        engine = generator(server.url, Decoding(**sampling), attempts=2, **settings)
        rows, error = until_error(engine.stream(requests(4)))
    assert rows == []
    assert "'temperature' and 'top_p'" in error and all(name in error for name in names)


def test_a_refusal_without_names_lists_the_sent_parameters():
    with FaultyServer(lambda body, n: refusal(422, "Nein.")) as server:
        _, error = until_error(generator(server.url).stream(requests(2)))
    assert "temperature, max_tokens" in error and "'leave_out'" in error


def test_a_fingerprint_changes_only_with_the_sent_parameters():
    """`old` is the fingerprint of rows that were made before `leave_out` and `extra_body` existed."""
    decoding = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 1024, "stop": (), "seed": 0}
    known = {"engine": "openai", "model": "scripted", "served_by": URL}
    old = fingerprint("responses", VERSION, sampling=decoding, **known)
    greedy = {
        generation_fingerprint(teacher(URL, **more))
        for more in (
            {},
            {"sampling": {"top_p": 1.0}},
            {"leave_out": []},
            {"extra_body": {}},
            {"timeout_seconds": 5},
        )
    }
    assert greedy == {old}
    drawn = [
        {"sampling": {"temperature": 1.0}},
        {"sampling": {"temperature": 1.0, "top_p": 1.0}},
        {"leave_out": ["seed"]},
        {"leave_out": ["seed", "temperature"]},
        {"extra_body": {"a": 1}},
        {"extra_body": {"a": 2}},
    ]
    assert len({generation_fingerprint(teacher(URL, **more)) for more in drawn} | {old}) == len(drawn) + 1
    same = [{"leave_out": ["seed", "temperature"]}, {"leave_out": ["temperature", "seed", "seed"]}]
    assert len({generation_fingerprint(teacher(URL, **more)) for more in same}) == 1
    for more in ({"leave_out": ["seed"]}, {"extra_body": {"a": 1}}):
        endpoint = {"name": "j", "engine": "openai", "model": "m", "base_url": URL}
        plain, other = (JudgeRewardModel(**endpoint, **settings) for settings in ({}, more))
        assert reward_fingerprint(plain) != reward_fingerprint(other)
        assert PromptedJudge(**endpoint).served != PromptedJudge(**endpoint, **more).served


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"leave_out": ["tempreature"]}, "'tempreature' is never sent; .* max_tokens, seed"),
        ({"leave_out": ["messages"]}, "'messages' is never sent"),
        ({"extra_body": {"stream": True}}, "'stream' must not be in 'extra_body'"),
        ({"extra_body": {"model": "x"}}, "set 'model' instead"),
        ({"extra_body": {"n": 2}}, "each response is a separate request"),
        ({"extra_body": {"seed": 1}, "leave_out": ["seed"]}, "remove it from one"),
        ({"extra_body": {"top_p": 1}, "sampling": {"top_p": 0.5}}, "set twice, by 'sampling.top_p'"),
        ({"extra_body": {"max_completion_tokens": 1}, "sampling": {"max_new_tokens": 5}}, "is set twice"),
        ({"extra_body": {"a": float("nan")}}, "finite"),
        ({"extra_body": {"a": {1, 2}}}, "JSON"),
        ({"timeout_seconds": 1e9}, "86400"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        teacher(URL, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "http://host/sk-Planted+Key/v1"},
        {"base_url": "http://host/sk-Planted%2BKey/v1"},
        {"extra_body": {"headers": [{"key": "Bearer sk-Planted+Key"}]}},
        {"served_as": "sk-Planted+Key"},
        {"model": "m@sk-Planted+Key"},
    ],
)
def test_a_key_in_the_study_is_refused_and_not_repeated(settings, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-Planted+Key")
    with pytest.raises(ValueError, match="contains the key") as raised:
        teacher(URL, **settings)
    assert raised.value.errors()[0]["type"] == "may_be_secret"
