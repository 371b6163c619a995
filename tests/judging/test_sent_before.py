"""Judges get the same bytes, and have the same fingerprints, as at commit a848a6a.

The hashes are of the requests that the code at that commit sent, and of the fingerprints that it stored. If a
hash changes, stored rewards and verdicts no longer match today's requests. Then a VERSION, or a prompt file's
version, must change.
"""

import json
from hashlib import sha256

import pytest

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.items import Item
from preceptor.evaluation.judging.ask import Case
from preceptor.evaluation.judging.judge import judgments_fingerprint, protocol_of
from preceptor.judging.question import prompt_hash
from preceptor.rewards.score import reward_fingerprint
from preceptor.study.judges import AnnotatorJudge, PromptedJudge
from preceptor.study.reward_models import JudgeRewardModel
from tests.endpoint.faulty_server import FaultyServer, answer
from tests.endpoint.teachers import collected, judge

PLACES = "{data} {form} {rubric} {mark} {instruction} {response} {answer_a} %(mark)s %s {"
CONVERSATIONS = [
    Conversation(None, ("Name a river.",), ("The Nile.",)),
    Conversation("Be kind.", ("one?", "two?"), ("first\n\n", "second " * 50)),
    Conversation("  ", (PLACES,), (f"ünï 你好 😀 \u2028{PLACES}\n#0123456789abcdef# RESPONSE ENDS",)),
]
REWARDS = {
    None: ("e798058bae404123", "1e0acb8fceafffdf"),
    "Grade the rhymes.": ("f90867e5531cae40", "0551ccee1b8851ec"),
    f"My own rubric: {PLACES}\n": ("79471060c9fea009", "91da089488171d99"),
}
CASES = [
    Case(Item("a", None, ("Name a river.",), reference=("Amazon",)), 0, ("Nile",)),
    Case(Item("b", "Be kind.", ("one?", "two?"), reference=("x", "y")), 1, ("ours", "too")),
    Case(Item("c", " ", (PLACES,), reference=("{answer_b}",)), 0, (f"{PLACES}😀",)),
]
DUELS = ("response_first", "reference_first")
PROMPTS = {
    "duel": (DUELS, "ab80d3b466bce34f", "42df39766fae75f5"),
    "arena_hard": (DUELS, "5e43bd36706ada71", "a82bd00be1212f58"),
    "arena_hard_creative": (DUELS, "302666b14937175c", "27357d495ec8ee22"),
    "grade": (("alone",), "6448986904c3856a", "17cd64c5bc60ba26"),
}
ENDPOINT = {"name": "j", "model": "m", "base_url": "http://localhost/v1"}


def hashed(value: object) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()[:16]


def sent(bodies: list[dict]) -> str:
    """The requests' hash. It ignores the order of parameters, but not the order of a schema's fields."""
    return hashed([sorted(body.items()) for body in bodies])


@pytest.mark.parametrize(("rubric", "known"), REWARDS.items())
def test_requests_for_rewards_are_the_same_bytes(rubric, known):
    messages, stored = known
    with FaultyServer(lambda body, n: answer('{"reasoning": "", "score": 7}')) as server:
        engine = judge(server.url, rubric=rubric, seed=3, concurrency=1)
        rewards = collected(engine.stream(CONVERSATIONS), len(CONVERSATIONS))
    assert [reward.reward for reward in rewards] == [7.0] * len(CONVERSATIONS)
    assert sent(server.bodies) == messages
    model = JudgeRewardModel(engine="openai", rubric=rubric, seed=2, **ENDPOINT)
    assert reward_fingerprint(model) == stored


@pytest.mark.parametrize(("prompt", "known"), PROMPTS.items())
def test_requests_for_verdicts_are_the_same_bytes(prompt, known):
    orders, messages, stored = known
    protocol = protocol_of(PromptedJudge(engine="openai", seed=3, **ENDPOINT), prompt)
    asked = [protocol.question(case, shown, 1).body for case in CASES for shown in orders]
    assert sent(asked) == messages
    fingerprint = judgments_fingerprint(protocol, "answers", {"file": "hash"})
    assert hashed([fingerprint, *map(prompt_hash, asked)]) == stored


def test_requests_of_an_annotator_are_the_same_bytes():
    protocol = protocol_of(AnnotatorJudge(engine="alpaca_eval", seed=3, **ENDPOINT), "duel")
    asked = [protocol.question(case, shown, 0).body for case in CASES for shown in DUELS]
    assert sent(asked) == "0c3ab71b28b9a64d"
