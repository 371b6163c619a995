"""Untuned bases on every kind of benchmark are evaluated as students, or their score has an error."""

from dataclasses import replace

import pytest

from preceptor.evaluation.evaluate import evaluate, evaluation_fingerprints
from preceptor.evaluation.job import Checkpoint, EvaluationJob, NotEvaluatedError
from preceptor.evaluation.kinds import KINDS
from preceptor.judging.judge import Answer
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES
from preceptor.study.evaluation import ArenaHard, Grades
from preceptor.study.fields import Sampling
from preceptor.study.held_out import HeldOutLoss, ResponseRanking
from preceptor.study.human_ratings import HumanRatings
from preceptor.study.judges import PromptedJudge
from preceptor.study.schema import Base
from preceptor.tuning.untuned import untuned_fingerprint
from resources.evaluation import EvaluationResource
from tests.evaluation.arena_hard.test_benchmark import v2
from tests.evaluation.benchmarks import (
    NOTHING_LOADED,
    Asked,
    Student,
    checkers,
    duels,
    engines,
    pairwise,
    sums,
    write_lines,
)
from tests.evaluation.humaneval.bubblewrap import require_bubblewrap
from tests.evaluation.humaneval.test_benchmark import humaneval
from tests.tuning.samples import save_base

JUDGE = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1")
SHORT = Sampling(max_new_tokens=4)
RUN = "untuned-base"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Base:
    return Base(name="base", model=save_base(tmp_path_factory.mktemp("base"), context=256))


def pairs(tmp_path) -> str:
    rows = [{"instruction": f"What is {n}?", "output": f"It is {n}, or {'x' * n}."} for n in range(5)]
    return write_lines(tmp_path / "pairs.jsonl", rows)


def ratings(tmp_path, model: str) -> HumanRatings:
    path = tmp_path / "ratings.csv"
    path.write_text(f"item,model,rater,rating\np0,{model},a,yes\np1,{model},a,no\n")
    return HumanRatings(name="people", kind="human_ratings", path=str(path), scale="acceptance")


def grades(tmp_path) -> Grades:
    path = write_lines(tmp_path / "prompts.jsonl", [{"instruction": f"say {k}"} for k in range(3)])
    sampling = Sampling(n=2, temperature=1.0, max_new_tokens=4)
    return Grades(name="grades", kind="grades", path=path, judge=JUDGE, sampling=sampling)


KIND = {  # each with its expected number of answers
    "checkers": (lambda path, _: checkers(path, sums(5), sampling=SHORT), 5),
    "pairwise": (lambda path, model: pairwise(path, duels(5), model, metric="win_rate", sampling=SHORT), 5),
    "grades": (lambda path, _: grades(path), 6),
    "arena_hard": (
        lambda path, _: ArenaHard(name="arena", kind="arena_hard", judge=JUDGE, sampling=SHORT, **v2(path)),
        8,
    ),
    "response_ranking": (
        lambda path, _: ResponseRanking(name="rank", kind="response_ranking", path=pairs(path), others=2),
        5,
    ),
    "held_out_loss": (lambda path, _: HeldOutLoss(name="loss", kind="held_out_loss", path=pairs(path)), 5),
    "human_ratings": (lambda path, _: ratings(path, RUN), 2),
    "humaneval": (
        lambda path, _: humaneval(path, n=2, sampling={"n": 2, "temperature": 1.0, "max_new_tokens": 4}),
        6,
    ),
}


def verdict(question, _) -> Answer:
    """A grade of 3, or the verdict that the first answer is better."""

    class Said:
        finish_reason = "stop"
        text = '{"reasoning": "", "verdict": "3"}'

    if "A>B" in question.wanted:
        Said.text = Said.text.replace("3", "A>B")
    reading = question.read(Said)
    return Answer(Said.text, reading.verdict, reading.outcome)


@pytest.fixture
def asked(monkeypatch) -> Asked:
    judge = Asked(verdict)
    monkeypatch.setattr(EvaluationResource, "_asked", lambda self, declared: judge)
    return judge


@pytest.mark.parametrize("kind", KIND)
def test_every_kind_evaluates_the_base_once(lake, tmp_path, base, reward_model, asked, kind):
    if kind == "humaneval":
        require_bubblewrap()
    declare, expected = KIND[kind]
    benchmark = declare(tmp_path, reward_model)
    found = EvaluationResource(device="cpu").evaluate_untuned(lake, base, benchmark)
    assert (found.account.expected, found.account.judged + found.account.failed) == (expected, expected)
    assert found.account.judged > 0, found.items.rows["error"].to_list()
    place = {"run": RUN, "benchmark": benchmark.name}
    results, scores = evaluation_fingerprints(benchmark, untuned_fingerprint(base))
    assert set(lake.read(EVAL_RESULTS, place)["fingerprint"]) == {results}
    stored = lake.read(EVAL_SCORES, place)
    assert set(stored["fingerprint"]) == {scores}
    assert stored.row(0, named=True)["value"] is not None
    if kind == "response_ranking":  # the base compared with itself
        values = dict(stored.select("metric", "value").iter_rows())
        assert values["normalised"] == values["base_normalised"] and values["normalised_gain"] == 0.0
    base_itself = Checkpoint(untuned_fingerprint(base), base, lambda: 1 / 0, untuned=True)
    again = evaluate(EvaluationJob(lake, RUN, benchmark, base_itself, NOTHING_LOADED, 8))
    assert (again.items.computed, again.scores.computed) == (0, 0)


def test_all_kinds_are_tested():
    slow = {"lm_eval"}  # tests/evaluation/lm_eval/test_benchmark.py
    assert KIND.keys() | slow == KINDS.keys()


def test_a_base_without_human_ratings_has_a_score_with_an_error_and_no_rows(lake, tmp_path, base):
    found = EvaluationResource(device="cpu").evaluate_untuned(lake, base, ratings(tmp_path, "run"))
    (score,) = found.scores.rows.to_dicts()
    assert (score["metric"], score["value"], score["expected"]) == ("acceptance_rate", None, 0)
    assert f"{tmp_path}/ratings.csv" in score["error"] and "'untuned-base'" in score["error"]
    assert found.items.rows.is_empty() and lake.read(EVAL_RESULTS).is_empty()


def test_a_base_that_cannot_be_evaluated_has_an_error_until_it_can(lake, tmp_path, base):
    student, benchmark = Student(lambda instruction: "The answer is 1."), checkers(tmp_path, sums(3))

    def refused():
        raise NotEvaluatedError("base 'base' cannot be evaluated untuned: why")

    base_itself = Checkpoint("m", base, refused, untuned=True)
    asked = EvaluationJob(lake, RUN, benchmark, base_itself, engines(student), 8)
    (score,) = evaluate(asked).scores.rows.to_dicts()
    assert (score["value"], score["error"]) == (None, "base 'base' cannot be evaluated untuned: why")
    good = replace(asked, checkpoint=replace(base_itself, folder=lambda: "/models/base"))
    found = evaluate(good)
    assert found.scores.rows["value"].to_list() == [1 / 3]
