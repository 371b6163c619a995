"""The real vLLM on the CPU answers as transformers does, for any order, grouping and neighbours of rows."""

import random
from contextlib import closing

import pytest

pytest.importorskip("vllm")

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.request import Decoding, Request
from tests.engines.processes import gone, members
from tests.engines.teachers import FORBIDDEN, SMALL, picky, requests, stream, vllm

pytestmark = [pytest.mark.slow, pytest.mark.story]
GREEDY = Decoding(max_new_tokens=60)
SAMPLED = Decoding(temperature=1.2, top_p=0.95, top_k=30, max_new_tokens=20)


@pytest.fixture(autouse=True, scope="module")
def small_cache():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        yield


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return picky(tmp_path_factory.mktemp("teacher") / "picky")


@pytest.fixture(scope="module")
def greedy(teacher):
    with closing(vllm(teacher, GREEDY, max_length=200)) as generator:
        yield generator


@pytest.fixture(scope="module")
def sampled():
    with closing(vllm(SMALL, SAMPLED)) as generator:
        yield generator


@pytest.fixture(scope="module")
def greedy_answers(greedy):
    return stream(greedy, requests())


def samples(request, count=8):
    return [Request(request.system, request.user, request.seed + n) for n in range(count)]


def test_greedy_equals_transformers(greedy_answers):
    peer = TransformersGenerator(SMALL, decoding=GREEDY, max_length=200)
    expected = stream(peer, requests())
    assert [n for n, e in enumerate(expected) if greedy_answers[n] != e] == []
    assert all(answer.response_tokens for answer in greedy_answers)


def test_greedy_rows_do_not_depend_on_the_order_or_on_neighbours(greedy, greedy_answers):
    order = random.Random(0).sample(range(600), 150)
    again = stream(greedy, [requests()[n] for n in order])
    assert again == [greedy_answers[n] for n in order]
    assert [stream(greedy, [requests()[n]])[0] for n in order[:3]] == again[:3]


def test_rows_that_cannot_be_answered_are_errors_and_the_rest_is_answered(greedy, greedy_answers):
    asked = requests(20)
    asked[3] = Request(None, ("word " * 300,), 0)
    asked[7] = Request(None, (FORBIDDEN,), 0)
    asked[9] = Request(None, (requests(10)[9].user[0], FORBIDDEN), 0)
    answers = stream(greedy, asked)
    peer = TransformersGenerator(SMALL, decoding=GREEDY, max_length=200)
    assert answers[3].error == peer.generate([asked[3]])[0].error
    assert "context is 200" in answers[3].error
    assert "(chat_template.jinja) refuses the conversation: not that" in answers[7].error
    assert "not that" in answers[9].error
    rest = [n for n in range(20) if n not in (3, 7, 9)]
    assert [answers[n] for n in rest] == [greedy_answers[n] for n in rest]


def test_a_nearly_full_context_cuts_the_answer_there(greedy):
    asked = [
        Request(None, ("Reverse the order of these words: " + "urn lamp " * n,), 0) for n in range(60, 95)
    ]
    answers = stream(greedy, asked)
    assert answers == stream(TransformersGenerator(SMALL, decoding=GREEDY, max_length=200), asked)
    cut = [a for a in answers if a.error is None and a.prompt_tokens + a.response_tokens == 200]
    assert cut and all(answer.finish_reason == "length" for answer in cut)
    assert any(answer.error for answer in answers)


def test_each_turn_is_answered_after_the_teachers_own_answer(greedy, greedy_answers):
    double = [
        Request(None, (a.user[0], b.user[0]), 0) for a, b in zip(requests(40), requests(41)[1:], strict=True)
    ]
    answers = stream(greedy, double)
    assert answers == stream(TransformersGenerator(SMALL, decoding=GREEDY, max_length=200), double)
    assert [answer.turns[0] for answer in answers] == [answer.turns[0] for answer in greedy_answers[:40]]


def test_samples_drawn_together_equal_samples_drawn_alone(sampled):
    together = [sample for request in requests(20) for sample in samples(request)]
    alone = together[::2][::-1]  # no two neighbours have increasing seeds
    answers = stream(sampled, together)
    assert stream(sampled, alone) == answers[::2][::-1]
    assert len({answer.turns for answer in answers}) > 60


def test_every_turn_of_a_sample_has_its_own_draws(sampled):
    asked = [s for r in requests(10) for s in samples(Request(None, (r.user[0], r.user[0]), r.seed))]
    answers = stream(sampled, asked)
    assert stream(sampled, asked[::-1]) == answers[::-1]
    first = stream(sampled, [Request(None, (r.user[0],), r.seed) for r in asked])
    assert [answer.turns[0] for answer in answers] == [answer.turns[0] for answer in first]


def test_the_seed_decides_a_sample(sampled):
    asked = [Request(None, ("Tell me a story.",), seed) for seed in (2**62 + 5, 7, 2**62 + 5, 9)]
    one, other, same, third = (answer.turns for answer in stream(sampled, asked))
    assert one == same
    assert len({one, other, third}) > 1


def test_close_leaves_no_process():
    generator = vllm(SMALL, GREEDY)
    group = generator._engine.pid
    assert len(members(group)) >= 2
    generator.close()
    assert gone(group, seconds=1)
