"""Arena-Hard v0.1's own questions and the answers of 15 models: what they state, count and add up to."""

import gzip
import json
import math
from collections import defaultdict
from dataclasses import astuple

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from preceptor.evaluation.arena_hard.categories import authors_baseline
from preceptor.evaluation.arena_hard.formats import ModelAnswer, read_answers, read_questions
from preceptor.evaluation.arena_hard.style import FEATURES, style_features, style_of
from preceptor.evaluation.evaluate import evaluate
from preceptor.judging.judge import Answer as Said
from preceptor.study.evaluation import ArenaHard
from preceptor.study.fields import Records
from preceptor.study.judges import PromptedJudge
from tests.conftest import REAL_DATA
from tests.evaluation.benchmarks import Asked, Student, engines, job, write_lines

ARENA_HARD = REAL_DATA / "arena_hard"
pytestmark = pytest.mark.skipif(not ARENA_HARD.is_dir(), reason=f"no real data at {REAL_DATA}")


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, ModelAnswer]]:
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


LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
COUNT = 99


def lines(path) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().split("\n") if line]


def v0_files(_, answers) -> dict:
    path = str(ARENA_HARD / "questions.jsonl.gz")
    return {"path": path, "answers": str(ARENA_HARD / "answers" / "gpt-4-0314.jsonl.gz"), "limit": COUNT}


def v2_files(folder, answers) -> dict:
    """The same texts in v2.0's layout: every third question is creative writing, against Gemma."""
    asked, said = lines(ARENA_HARD / "questions.jsonl.gz")[:COUNT], {}
    rows = [
        {
            "uid": row["uid"],
            "category": "hard_prompt" if n % 3 else "creative_writing",
            "subcategory": row["cluster"],
            "prompt": row["prompt"],
        }
        for n, row in enumerate(asked)
    ]
    for category, model in (("hard_prompt", "gpt-4-0314"), ("creative_writing", "gemma-2b-it")):
        said[category] = [
            {
                "uid": row["uid"],
                "model": authors_baseline("v2.0", category),
                "messages": [
                    {"role": "user", "content": row["prompt"]},
                    {"role": "assistant", "content": {"answer": answers[model][row["uid"]].turns[0]}},
                ],
            }
            for row in rows
            if row["category"] == category
        ]
    flash = write_lines(folder / "flash.jsonl", said["creative_writing"])
    return {
        "path": write_lines(folder / "questions.jsonl", rows),
        "answers": write_lines(folder / "o3.jsonl", said["hard_prompt"]),
        "categories": {"creative_writing": {"answers": flash, "reference": "flash"}},
    }


def battles_of_a_game(verdict: str, shown: str) -> list[float]:
    """The model's battles: three where a game is won by far; A is whoever stands first."""
    won = {"A": 1.0, "=": 0.5, "B": 0.0}["=" if "=" in verdict else verdict[0]]
    won = won if shown == "response_first" else 1 - won
    return [won] * (3 if ">>" in verdict else 1)


def by_v0(games) -> dict[str, float]:
    """The v0.1 code's rule: every game that was read, in an unpenalised fit, its battles doubled."""
    battles = [w for shown, verdict in games.values() for w in battles_of_a_game(verdict, shown)]
    y = [w == 1 for w in battles] + [w >= 0.5 for w in battles]  # a tie is won once and lost once
    x = np.tile([[math.log(10), -math.log(10)]], (len(y), 1))
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(x, y)
    model, baseline = fit.coef_[0]
    return {"": 1 / (1 + 10 ** (baseline - model))}


def by_v2(games, categories: dict[str, str]) -> dict[str, float]:
    """The v2.0 code's rule: a category's mean over battles, where both games of a question were read."""
    by_item, battles = defaultdict(list), defaultdict(list)
    for (item, _), (shown, verdict) in games.items():
        by_item[item].append(battles_of_a_game(verdict, shown))
    for item, pair in by_item.items():
        if len(pair) == 2:
            battles[categories[item]] += pair[0] + pair[1]
    return {category: sum(won) / len(won) for category, won in battles.items()}


@pytest.mark.parametrize(("version", "files"), [("v0.1", v0_files), ("v2.0", v2_files)])
def test_win_rates_on_the_whole_path_are_those_of_each_versions_released_rule(
    lake, tmp_path, answers, version, files
):
    """Real questions and answers; a judge of drawn verdicts, of which one in seven cannot be read."""
    draw, ours = np.random.default_rng(3), answers["gemma-2-9b-it"]
    texts = {row["prompt"]: ours[row["uid"]].turns[0] for row in lines(ARENA_HARD / "questions.jsonl.gz")}

    def say(question, _):
        label = str(draw.choice(LABELS, p=[0.1, 0.2, 0.2, 0.3, 0.2]))
        if draw.random() < 0.15:
            return Said(raw="?", error="no verdict")

        class Text:
            finish_reason, text = "stop", json.dumps({"verdict": label})

        reading = question.read(Text)
        return Said(Text.text, reading.verdict, reading.outcome)

    judge = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1")
    benchmark = ArenaHard(name="arena", kind="arena_hard", judge=judge, **files(tmp_path, answers))
    using = engines(Student(texts.__getitem__), asked=Asked(say))
    found = evaluate(job(lake, benchmark, using, rows=200))
    read = found.judgments.rows.drop_nulls("verdict")
    games = {(row["item_id"], row["shown"]): (row["shown"], row["verdict"]) for row in read.to_dicts()}
    categories = {row["item_id"]: row["task"] for row in found.items.rows.to_dicts()}
    expected = by_v0(games) if version == "v0.1" else by_v2(games, categories)
    rows = {row["category"]: row for row in found.scores.rows.filter(metric="win_rate").to_dicts()}
    assert {name: row["value"] for name, row in rows.items()} == pytest.approx(expected, abs=1e-6)
    halves = [sum((item, s) in games for s in ("response_first", "reference_first")) for item in categories]
    assert halves.count(1) > 5
    assert found.account.failed == (halves.count(0) if version == "v0.1" else COUNT - halves.count(2))
    if version == "v0.1":
        assert "one game alone, as with v0.1's authors" in rows[""]["method"]
        assert f": {halves.count(1)} of {rows['']['n']}" in rows[""]["method"]
