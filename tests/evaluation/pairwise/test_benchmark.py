"""A judge's two scores become the probability of winning."""

import math

import pytest

from preceptor.compute.conversation import Conversation
from preceptor.compute.reward import RewardScorer
from preceptor.evaluation.items import Item
from preceptor.evaluation.pairwise.benchmark import classifier_fingerprint, compare, win_probability
from preceptor.evaluation.results import Decision
from tests.evaluation.benchmarks import Grader, classifier, judge_folder

ITEMS = [Item(f"id{n}", None, (f"say {n}",), reference=("word " * (n + 1),)) for n in range(3)]


@pytest.mark.parametrize(("score", "reference"), [(1.5, 0.25), (-3.0, 2.0), (0.0, 0.0), (30.0, 29.0)])
def test_win_probability_is_the_logistic_function_of_the_difference(score, reference):
    expected = math.exp(score) / (math.exp(score) + math.exp(reference))  # Bradley and Terry (1952)
    assert win_probability(score, reference) == pytest.approx(expected, abs=1e-15)


def test_win_probability_never_overflows():
    assert (win_probability(1e6, -1e6), win_probability(-1e6, 1e6)) == (1.0, 0.0)


def test_each_answer_meets_its_own_items_reference(reward_model):
    judge = RewardScorer(reward_model, device="cpu")
    answers = [("short",), ("somewhat longer",), ("x",)]
    for item, answer, verdict in zip(ITEMS, answers, compare(judge, ITEMS, answers), strict=True):
        (response,) = judge.score([Conversation(None, item.user, answer)])
        (reference,) = judge.score([Conversation(None, item.user, item.reference)])
        assert verdict.score == pytest.approx(response.reward, abs=1e-5)
        assert verdict.reference_score == pytest.approx(reference.reward, abs=1e-5)
        assert verdict.outcome == win_probability(verdict.score, verdict.reference_score)


def test_what_is_too_long_for_the_judge_is_an_error_that_says_which_side(reward_model):
    judge = RewardScorer(reward_model, device="cpu")  # it sees 128 tokens
    long = Item("long", None, ("say",), reference=("w" * 300,))
    one, other = compare(judge, [ITEMS[0], long], [("w" * 300,), ("w",)])
    assert one.outcome is one.score is other.outcome is other.reference_score is None
    assert isinstance(one.reference_score, float)
    assert isinstance(other.score, float)
    assert one.error.startswith("the judge cannot score the response: 3")
    assert other.error.startswith("the judge cannot score the reference: 3")
    assert other.error.endswith("tokens, but the reward model's context is 128")


def test_no_answers_are_no_verdicts():
    assert compare(Grader(len), [], []) == []
    assert compare(Grader(len), ITEMS[:1], [("five ",)]) == [Decision(0.5, 5, 5)]


def test_a_judges_fingerprint_is_of_its_weights_and_not_of_its_name(tmp_path, reward_model):
    plain = classifier_fingerprint(classifier(reward_model, "a"))
    assert classifier_fingerprint(classifier(reward_model, "b")) == plain
    assert classifier_fingerprint(classifier(reward_model).model_copy(update={"max_length": 64})) != plain
    assert classifier_fingerprint(classifier(judge_folder(tmp_path, context=64))) != plain
