"""A tuned model on a benchmark: items, scores, what is reused, and what is never shared."""

import math

import pytest

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.request import Decoding
from preceptor.compute.reward import RewardScorer
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.job import Engines, EvaluationJob
from preceptor.fingerprint import model_identity
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES
from preceptor.study.fields import Sampling
from tests.evaluation.benchmarks import (
    NOTHING_LOADED,
    Grader,
    Student,
    checkers,
    checkpoint,
    classifier,
    duels,
    engines,
    forbidden,
    job,
    judge_folder,
    pairwise,
    sums,
)


def right_below(limit):
    """Adds 1, up to a limit."""
    return lambda instruction: f"The answer is {min(int(instruction.split()[0]) + 1, limit)}."


def by_length(text):
    return len(text) / 10


def run(lake, evaluation, using, name="run", made="checkpoint"):
    return evaluate(job(lake, evaluation, using, name, made))


def test_checkers_give_accuracy_over_the_answered_items(lake, tmp_path):
    student = Student(right_below(6), fails=lambda i: "too long" if i.startswith("9") else None)
    evaluation = checkers(tmp_path, sums(10), columns={"task": "kind"})
    found = run(lake, evaluation, engines(student))
    rows = found.items.rows.to_dicts()
    assert [row["outcome"] for row in rows] == [1.0] * 6 + [0.0] * 3 + [None]
    assert [row["error"] for row in rows] == [None] * 9 + ["no response: too long"]
    assert rows[0] == {
        "item_id": rows[0]["item_id"],
        "sample": 0,
        "instruction": ["0 + 1?"],
        "task": "add",
        "response": ["The answer is 1."],
        "reference": "1",
        "outcome": 1.0,
        "score": None,
        "reference_score": None,
        "measures": [],
        "why": None,
        "response_tokens": 4,
        "filtered": None,
        "error": None,
    }
    (score,) = lake.read(EVAL_SCORES, {"run": "run", "benchmark": "sums"}).to_dicts()
    assert (score["metric"], score["value"], score["n"], score["failed"]) == ("accuracy", 6 / 9, 9, 1)
    assert score["low"] < 6 / 9 < score["high"]
    assert (score["judge"], score["reference"], score["error"]) == (None, None, None)


def test_pairwise_gives_the_plain_win_rate_first_for_instructions_of_unknown_difficulty(
    lake, tmp_path, reward_model
):
    student = Student(lambda instruction: "word " * (20 - int(instruction.split()[1])))
    evaluation = pairwise(tmp_path, duels(20), reward_model)
    found = run(lake, evaluation, engines(student, Grader(by_length)))
    expected = [1 / (1 + math.exp(-0.5 * (20 - n - (n + 1)))) for n in range(20)]
    assert found.items.rows["outcome"].to_list() == pytest.approx(expected)
    assert found.items.rows["reference"][1] == "word word "
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    assert list(scores) == ["win_rate", "minimal_lc_win_rate", "discrete_win_rate"]
    assert scores["win_rate"]["value"] == pytest.approx(sum(expected) / 20)
    assert scores["discrete_win_rate"]["value"] == 0.5  # ten of twenty are longer
    minimal = scores["minimal_lc_win_rate"]
    assert minimal["value"] == pytest.approx(0.5, abs=0.01)  # length is all this judge knows
    assert "without instruction difficulty" in minimal["method"] and "biased" in minimal["method"]
    why = "know only AlpacaEval's 805 instructions, in their order"
    assert "in place of lc_win_rate, because alpaca-eval's df_gamed.csv and" in scores["win_rate"]["method"]
    assert why in scores["win_rate"]["method"] and why in minimal["method"]
    for row in scores.values():
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert (row["n"], row["failed"], row["reference"]) == (20, 0, "r")
        assert row["judge"] == f"judge ({model_identity(reward_model, 'main')})"


def test_items_that_the_judge_cannot_score_fail_and_missing_values_have_an_error(
    lake, tmp_path, reward_model
):
    grader = Grader(lambda text: None if text == "unreadable" else 0.0)
    student = Student(lambda instruction: "unreadable" if int(instruction.split()[1]) > 2 else instruction)
    found = run(lake, pairwise(tmp_path, duels(7), reward_model), engines(student, grader))
    assert found.items.rows["error"].null_count() == 3
    assert set(found.items.rows["error"].drop_nulls()) == {"the judge cannot score the response: too long"}
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    assert {(row["n"], row["failed"]) for row in scores.values()} == {(3, 4)}
    assert (scores["win_rate"]["value"], scores["win_rate"]["error"]) == (0.5, None)
    assert scores["minimal_lc_win_rate"]["value"] is None
    assert scores["minimal_lc_win_rate"]["error"] == "3 items are too few for the fit's 5 folds"


@pytest.mark.parametrize("kind", ["checkers", "pairwise"])
def test_a_benchmark_with_only_failed_items_has_scores_without_values(lake, tmp_path, reward_model, kind):
    evaluation = (
        checkers(tmp_path, sums(6)) if kind == "checkers" else pairwise(tmp_path, duels(6), reward_model)
    )
    student = Student(str, fails=lambda instruction: "the model says NaN")
    found = run(lake, evaluation, engines(student, Grader(by_length)))
    assert found.scores.rows["value"].null_count() == found.scores.rows.height
    assert set(found.scores.rows["error"]) == {"no item has an outcome"}
    assert set(found.scores.rows["failed"]) == {6}


@pytest.mark.parametrize("kind", ["checkers", "pairwise"])
def test_a_second_call_loads_and_computes_nothing(lake, tmp_path, reward_model, kind):
    evaluation = (
        checkers(tmp_path, sums(6)) if kind == "checkers" else pairwise(tmp_path, duels(6), reward_model)
    )
    first = run(
        lake,
        evaluation,
        engines(Student(right_below(9) if kind == "checkers" else str.upper), Grader(by_length)),
    )
    second = run(lake, evaluation, NOTHING_LOADED)
    assert (first.items.computed, second.items.computed, second.items.reused) == (6, 0, 6)
    assert second.scores.computed == 0
    assert second.items.rows.equals(first.items.rows)
    assert second.scores.rows.equals(first.scores.rows)
    assert (second.items.version, second.scores.version) == (first.items.version, first.scores.version)


def test_runs_with_equal_answers_do_not_share_verdicts(lake, tmp_path, reward_model):
    evaluation = pairwise(tmp_path, duels(6), reward_model)
    one = run(lake, evaluation, engines(Student(str.upper), Grader(by_length)), name="one", made="same")
    grader = Grader(lambda text: -by_length(text))
    two = run(lake, evaluation, engines(Student(str.upper), grader), name="two", made="same")
    assert (grader.loaded, two.items.computed) == (1, 6)
    assert one.items.rows["score"].to_list() == [-s for s in two.items.rows["score"].to_list()]
    assert lake.read(EVAL_RESULTS, {"run": "one"})["score"].to_list() == one.items.rows["score"].to_list()


def test_a_new_checkpoint_judge_or_file_recomputes_only_what_it_changes(lake, tmp_path, reward_model):
    student, grader = Student(str.upper), Grader(by_length)
    using = engines(student, grader)
    evaluation = pairwise(tmp_path, duels(6), reward_model)
    run(lake, evaluation, using)
    run(lake, evaluation, using, made="another")
    assert (len(student.loaded), grader.loaded) == (2, 2)
    other = judge_folder(tmp_path / "judge", context=64)
    judged = evaluation.model_copy(update={"judge": classifier(other)})
    run(lake, judged, using, made="another")
    assert (len(student.loaded), grader.loaded) == (2, 3)  # the answers are reused, the verdicts are not
    longer = pairwise(tmp_path, [{**row, "output": "w"} for row in duels(6)], other)
    again = run(lake, longer, using, made="another")
    assert (len(student.loaded), grader.loaded) == (2, 4)
    assert set(again.items.rows["reference"]) == {"w"}


def test_a_renamed_judge_or_reference_is_stored_without_judging_again(lake, tmp_path, reward_model):
    evaluation = pairwise(tmp_path, duels(6), reward_model)
    run(lake, evaluation, engines(Student(str.upper), Grader(by_length)))
    renamed = evaluation.model_copy(
        update={"reference": "davinci", "judge": classifier(reward_model, "referee")}
    )
    found = run(lake, renamed, NOTHING_LOADED)
    assert found.items.computed == 0
    assert set(found.scores.rows["reference"]) == {"davinci"}
    assert {judge.split()[0] for judge in found.scores.rows["judge"]} == {"referee"}


def test_a_killed_judge_resumes_where_it_stopped(lake, tmp_path, reward_model):
    evaluation = pairwise(tmp_path, duels(10), reward_model)
    calls = []

    def dies(text):
        calls.append(text)
        if len(calls) > 10:  # in the second chunk of four answers and four references
            raise KeyboardInterrupt
        return by_length(text)

    with pytest.raises(KeyboardInterrupt):
        run(lake, evaluation, engines(Student(str.upper), Grader(dies)))
    resumed = run(
        lake, evaluation, Engines(forbidden, Grader(by_length).load, forbidden, forbidden, forbidden)
    )
    assert (resumed.items.computed, resumed.items.reused) == (6, 4)
    assert resumed.items.rows["outcome"].null_count() == 0


def test_real_tiny_models_end_to_end(lake, tmp_path, teacher_model, reward_model):
    def generator(folder, sampling, prompt_format):
        decoding = Decoding(**sampling.model_dump(exclude={"n", "seed"}))
        return TransformersGenerator(folder, prompt_format=prompt_format, decoding=decoding, device="cpu")

    def scorer(judge):
        return RewardScorer(judge.model, judge.revision, device="cpu")

    using = Engines(generator, scorer, forbidden, forbidden, forbidden)
    evaluation = pairwise(tmp_path, duels(8), reward_model, sampling=Sampling(max_new_tokens=8))
    tuned = checkpoint("tuned", folder=teacher_model)
    found = evaluate(EvaluationJob(lake, "run", evaluation, tuned, using, 3))
    assert found.items.rows["error"].null_count() == 8
    assert found.items.rows["outcome"].is_between(0, 1).all()
    assert found.scores.rows["value"].is_between(0, 1).all()
    assert set(found.scores.rows["n"]) == {8}
