"""LIMA's grades: n answers to each prompt, each graded. Items weigh the same whatever failed."""

import pytest

from preceptor.evaluation.evaluate import evaluate
from preceptor.judging.judge import Answer
from preceptor.study.evaluation import Grades
from preceptor.study.fields import Sampling
from preceptor.study.judges import PromptedJudge
from tests.evaluation.benchmarks import NOTHING_LOADED, Asked, Student, engines, job, write_lines


def grades(tmp_path, count=5, n=3, **judge) -> Grades:
    path = write_lines(tmp_path / "prompts.jsonl", [{"instruction": f"say {k}"} for k in range(count)])
    asked = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1", **judge)
    sampling = Sampling(n=n, temperature=0.7)
    return Grades(name="grades", kind="grades", path=path, judge=asked, sampling=sampling)


def number(question) -> int:
    return int(question.body["messages"][-1]["content"].split("say ")[1].split("\n")[0])


def graded(question, grade: int) -> Answer:
    class Said:
        finish_reason = "stop"
        text = f'{{"reasoning": "", "verdict": "{grade}"}}'

    reading = question.read(Said)
    return Answer(Said.text, reading.verdict, reading.outcome)


def run(lake, benchmark, judge):
    student = Student(lambda instruction: f"an answer to {instruction}")
    return evaluate(job(lake, benchmark, engines(student, asked=Asked(judge))))


def test_the_grade_is_the_mean_over_items_of_their_mean_grade(lake, tmp_path):
    found = run(lake, grades(tmp_path), lambda question, _: graded(question, 1 + number(question)))
    assert found.items.rows.select("item_id", "sample").n_unique() == found.items.rows.height == 15
    row = found.scores.rows.row(0, named=True)
    assert (row["metric"], row["value"], row["unit"], row["n"], row["expected"]) == (
        "grade",
        3.0,
        "grade",
        5,
        15,
    )
    # Standard error of the means 1 … 5: √2.5 / √5.
    assert row["high"] - row["value"] == pytest.approx(1.96 * 0.5**0.5)
    shares = {
        f"grade_{k}": found.scores.rows.filter(metric=f"grade_{k}")["value"].item() for k in range(1, 7)
    }
    assert shares == {**{f"grade_{k}": pytest.approx(0.2) for k in range(1, 6)}, "grade_6": 0.0}
    assert "prompt grade v1" in row["judge"]


def test_an_item_with_a_failed_grade_keeps_its_weight(lake, tmp_path):
    def partial(question, asked):
        if asked % 3 and number(question) == 0:
            return Answer(error="no grade")
        return graded(question, 1 + number(question))

    found = run(lake, grades(tmp_path, 2), partial)
    row = found.scores.rows.row(0, named=True)
    assert found.account.balanced and found.account.failed > 0
    assert (row["value"], row["n"]) == (1.5, 2)


def test_repeated_grades_of_one_answer_give_the_judges_consistency(lake, tmp_path):
    benchmark = grades(tmp_path, 3, n=2)
    judge = benchmark.judge.model_copy(update={"n": 2, "temperature": 1.0})
    benchmark = benchmark.model_copy(update={"judge": judge})
    found = run(lake, benchmark, lambda question, _: graded(question, 4 + (question.body["seed"] > 0)))
    assert found.judgments.rows.height == 3 * 2 * 2
    assert found.scores.rows.filter(metric="self_consistency")["value"].item() == 0.0
    assert set(found.items.rows["outcome"]) == {4.5}


def test_a_second_call_answers_and_grades_nothing(lake, tmp_path):
    run(lake, grades(tmp_path), lambda question, _: graded(question, 3))
    again = evaluate(job(lake, grades(tmp_path), NOTHING_LOADED))
    assert (again.judgments.computed, again.scores.computed, again.account.judged) == (0, 0, 15)
