"""The real vLLM server: greedy answers equal those of transformers, seeds repeat samples, a judge grades."""

import json

import pytest

from preceptor.compute.conversation import Conversation
from preceptor.compute.request import Decoding, Request
from preceptor.endpoint.errors import EndpointError
from preceptor.rewards import judge as rewards_judge
from tests.endpoint.teachers import collected, generator, judge
from tests.endpoint.vllm_server import DEMO, TEACHER, vllm_server

pytestmark = pytest.mark.slow
pytest.importorskip("vllm")
COUNT = 60


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with vllm_server(tmp_path_factory.mktemp("vllm") / "log.txt") as address:
        yield address


def asked(count: int, **settings) -> list[Request]:
    lines = (DEMO / "instructions.jsonl").read_text().splitlines()[:count]
    return [Request(None, (json.loads(line)["instruction"],), seed=n) for n, line in enumerate(lines)]


def judged(count: int) -> list[Conversation]:
    return [Conversation(None, request.user, ("It is so.",)) for request in asked(count)]


def test_greedy_answers_equal_those_of_transformers(url):
    from preceptor.compute.generation import TransformersGenerator

    decoding = Decoding(max_new_tokens=80)
    remote = collected(generator(url, decoding).stream(asked(COUNT)), COUNT)
    here = TransformersGenerator(str(TEACHER), decoding=decoding).generate(asked(COUNT))
    assert [a.turns for a in remote] == [a.turns for a in here]
    assert [a.finish_reason for a in remote] == [a.finish_reason for a in here]
    assert [a.prompt_tokens for a in remote] == [a.prompt_tokens for a in here]
    assert [a.response_tokens for a in remote] == [a.response_tokens for a in here]


def test_turns_equal_those_of_transformers(url):
    from preceptor.compute.generation import TransformersGenerator

    decoding = Decoding(max_new_tokens=30)
    pairs = [Request(None, (a.user[0], b.user[0]), 0) for a, b in zip(asked(8), asked(8)[::-1], strict=True)]
    remote = collected(generator(url, decoding).stream(pairs), 8)
    here = TransformersGenerator(str(TEACHER), decoding=decoding).generate(pairs)
    assert [a.turns for a in remote] == [a.turns for a in here]


def test_a_seed_gives_the_same_sample_again(url):
    decoding = Decoding(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=40)
    first, again = (collected(generator(url, decoding).stream(asked(20)), 20) for _ in range(2))
    others = [Request(None, request.user, request.seed + 1000) for request in asked(20)]
    other = collected(generator(url, decoding).stream(others), 20)
    assert [a.turns for a in first] == [a.turns for a in again]
    assert [a.turns for a in first] != [a.turns for a in other]


def test_a_prompt_that_is_too_long_is_an_error_and_the_rest_is_answered(url):
    rows = [*asked(3), Request(None, ("word " * 5000,), 0)]
    answers = collected(generator(url).stream(rows), 4)
    assert "HTTP 400" in answers[3].error
    assert "3072" in answers[3].error
    assert all(answer.error is None for answer in answers[:3])


@pytest.mark.parametrize(
    ("settings", "advice"), [({"model": "stranger"}, "Correct 'model'"), ({}, "usually ends in /v1")]
)
def test_a_wrong_model_or_address_marks_no_row(url, settings, advice):
    address = url if settings else url.removesuffix("/v1")
    with pytest.raises(EndpointError, match=advice):
        list(generator(address, **settings).stream(asked(3)))


def test_a_judge_grades_every_row(url):
    engine = judge(url, attempts=3)
    # The tiny model rarely ends a text by itself, so only the grade is requested.
    engine._prompt = engine._prompt.model_copy(update={"reasoning": False})
    rewards = collected(engine.stream(judged(12)), 12)
    assert all(reward.error is None and reward.reward in range(1, 11) for reward in rewards)
    assert engine.facts["parse_failures"] == 0


def test_cut_judge_answers_are_counted_and_quoted(url, monkeypatch):
    monkeypatch.setattr(rewards_judge, "MAX_TOKENS", 200)
    engine = judge(url, attempts=2, rubric="Give a number.")
    rewards = collected(engine.stream(judged(8)), 8)
    failed = [reward for reward in rewards if reward.reward is None]
    assert failed
    assert all("no grade from 1 to 10 in 2 answers" in reward.error for reward in failed)
    assert all("(cut off)" in reward.error for reward in failed)
    assert 2 * len(failed) <= engine.facts["parse_failures"] <= 8 + len(failed)
