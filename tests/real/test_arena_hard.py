"""Arena-Hard v0.1's own questions and the answers of 15 models: what they state and what is counted."""

from dataclasses import astuple

import numpy as np
import pytest

from preceptor.evaluation.arena_hard.formats import Answer, read_answers, read_questions
from preceptor.evaluation.arena_hard.style import FEATURES, style_features, style_of
from preceptor.study.fields import Records
from tests.conftest import REAL_DATA

ARENA_HARD = REAL_DATA / "arena_hard"
pytestmark = pytest.mark.skipif(not ARENA_HARD.is_dir(), reason=f"no real data at {REAL_DATA}")


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Answer]]:
    files = sorted((ARENA_HARD / "answers").glob("*.jsonl.gz"))
    return {file.name.removesuffix(".jsonl.gz"): read_answers(Records(path=str(file))) for file in files}


def test_all_500_questions_are_read():
    questions = read_questions(Records(path=str(ARENA_HARD / "questions.jsonl.gz")))
    assert len({question.question_id for question in questions}) == 500
    assert {(q.version, q.category, len(q.turns)) for q in questions} == {("v0.1", "arena-hard-v0.1", 1)}
    assert len({question.subcategory for question in questions}) == 250  # "500 prompts, 250 clusters"


def test_15_models_answered_all_questions_but_one(answers):
    asked = {q.question_id for q in read_questions(Records(path=str(ARENA_HARD / "questions.jsonl.gz")))}
    missing = {model: len(asked - set(found)) for model, found in answers.items()}
    assert len(answers) == 15
    assert {model: count for model, count in missing.items() if count} == {"llama-3.1-8b-instruct": 1}
    assert all(set(found) <= asked for found in answers.values())
    assert all({answer.model for answer in found.values()} == {model} for model, found in answers.items())


def test_markdown_is_counted_as_its_authors_counted_it_in_all_7499_answers(answers):
    differ = [
        (model, answer.question_id)
        for model, found in answers.items()
        for answer in found.values()
        if answer.style != style_of(answer.turns[0], answer.tokens)
    ]
    assert sum(map(len, answers.values())) == 7499
    assert differ == []


@pytest.mark.parametrize("version", ["v0.1", "v2.0"])
def test_style_features_against_the_baseline_are_finite_and_vary(answers, version):
    baseline = answers["gpt-4-0314"]
    for model in answers.keys() - {"gpt-4-0314"}:
        shared = sorted(answers[model].keys() & baseline.keys())
        sides = (answers[model], baseline)
        counts = [np.array([astuple(side[id].style) for id in shared], float) for side in sides]
        features = style_features(version, *counts)
        assert features.shape == (len(shared), len(FEATURES))
        assert np.isfinite(features).all()
        assert (np.ptp(features, axis=0) > 0).all()
