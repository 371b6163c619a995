"""Arena-Hard from questions to scores: two games an answer, per category, in either version's files."""

import pytest

from preceptor.endpoint.questions import Answer
from preceptor.evaluation.arena_hard.benchmark import battles_of, check, read_arena
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.evaluation import ArenaHard
from preceptor.study.judges import PromptedJudge
from tests.evaluation.benchmarks import NOTHING_LOADED, Asked, Student, engines, examination, write_lines

CATEGORIES = ("hard_prompt", "creative_writing")


def v2(tmp_path, count=8, answered=None) -> dict[str, str]:
    asked = [
        {"uid": f"q{n}", "category": CATEGORIES[n % 2], "subcategory": "s", "prompt": f"task {n}"}
        for n in range(count)
    ]
    said = [
        {
            "uid": f"q{n}",
            "model": "baseline",
            "messages": [
                {"role": "user", "content": f"task {n}"},
                {"role": "assistant", "content": {"answer": f"# theirs {n}\n- **point** of {n}"}},
            ],
        }
        for n in range(count if answered is None else answered)
    ]
    return {
        "path": write_lines(tmp_path / "questions.jsonl", asked),
        "answers": write_lines(tmp_path / "answers.jsonl", said),
    }


def v0(tmp_path) -> dict[str, str]:
    asked = [
        {
            "question_id": f"q{n}",
            "category": "arena-hard-v0.1",
            "cluster": "c",
            "turns": [{"content": f"task {n}"}],
        }
        for n in range(4)
    ]
    said = [
        {
            "question_id": f"q{n}",
            "model_id": "baseline",
            "choices": [{"index": 0, "turns": [{"content": f"theirs {n}", "token_len": 2}]}],
        }
        for n in range(4)
    ]
    return {
        "path": write_lines(tmp_path / "questions.jsonl", asked),
        "answers": write_lines(tmp_path / "answers.jsonl", said),
    }


def arena(files, **settings) -> ArenaHard:
    judge = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1")
    return ArenaHard(**{"name": "arena", "kind": "arena_hard", "judge": judge, **files, **settings})


def labelled(question, label: str) -> Answer:
    class Said:
        finish_reason = "stop"
        text = f'{{"verdict": "{label}"}}'

    reading = question.read(Said)
    return Answer(Said.text, reading.verdict, reading.outcome)


def ours_first(question) -> bool:
    text = question.body["messages"][-1]["content"]
    return "ours" in text.split("ANSWER A ENDS")[0]


def prefers_ours(question, _) -> Answer:
    """Much better, wherever it stands."""
    return labelled(question, "A>>B" if ours_first(question) else "B>>A")


def run(lake, benchmark, judge=None, **settings):
    student = Student(lambda instruction: f"ours for {instruction}, and longer than theirs")
    using = NOTHING_LOADED if judge is None else engines(student, asked=Asked(judge))
    return evaluate(examination(lake, benchmark, using, **settings))


def scores(found, metric: str) -> dict[str, dict]:
    return {row["category"]: row for row in found.scores.rows.filter(metric=metric).to_dicts()}


@pytest.mark.parametrize("files", [v0, v2])
def test_the_better_answer_wins_in_both_games_and_both_formats(lake, tmp_path, files):
    found = run(lake, arena(files(tmp_path)), prefers_ours)
    assert set(found.items.rows["outcome"]) == {1.0}
    assert found.judgments.rows.height == 2 * found.items.rows.height
    assert found.scores.rows["metric"][0] == "win_rate"
    row = scores(found, "win_rate")[""]
    assert row["value"] == 1.0 and row["low"] < 1.0  # Clopper and Pearson's: nothing was lost in so few
    assert scores(found, "position_bias")[""]["value"] == 0.0


def test_a_judge_that_always_takes_the_first_gives_a_half_and_full_bias(lake, tmp_path):
    found = run(lake, arena(v2(tmp_path)), lambda question, _: labelled(question, "A>B"))
    assert scores(found, "win_rate")[""]["value"] == 0.5
    assert scores(found, "position_bias")[""]["value"] == 1.0


def test_a_win_by_far_counts_as_three_battles(lake, tmp_path):
    """Shown first we win by far (3 battles), shown second we lose by little (1): 3 / 4."""
    found = run(lake, arena(v2(tmp_path)), lambda q, _: labelled(q, "A>>B" if ours_first(q) else "A>B"))
    assert scores(found, "win_rate")[""]["value"] == pytest.approx(3 / 4)
    assert set(found.items.rows["outcome"]) == {0.5}  # an item's own outcome has no weights


def test_categories_have_their_own_rates(lake, tmp_path):
    def by_category(question, _):
        even = int(question.body["messages"][-1]["content"].split("task ")[1].split("\n")[0]) % 2 == 0
        return prefers_ours(question, _) if even else labelled(question, "A=B")

    found = run(lake, arena(v2(tmp_path)), by_category)
    rates = {name: row["value"] for name, row in scores(found, "win_rate").items()}
    assert rates == {"": pytest.approx(7 / 8), "hard_prompt": 1.0, "creative_writing": 0.5}  # 24 and 4 of 32
    assert {row["n"] for name, row in scores(found, "win_rate").items() if name} == {4}


def test_a_question_without_a_verdict_in_one_game_leaves_both_out_and_is_failed(lake, tmp_path):
    def broken(question, number):
        if "task 3\n" in question.body["messages"][-1]["content"] and ours_first(question):
            return Answer(raw="?", error="no verdict")
        return prefers_ours(question, number)

    found = run(lake, arena(v2(tmp_path)), broken)
    assert str(found.account) == "7 judged + 1 failed + 0 filtered = 8, expected 8"
    battles = battles_of("run", found.items.rows, found.judgments.rows)
    assert battles.height == 14 and set(battles["weight"]) == {3.0}


def test_the_styles_of_both_answers_stand_beside_a_battle(lake, tmp_path):
    found = run(lake, arena(v2(tmp_path, 2)), prefers_ours)
    row = battles_of("run", found.items.rows, found.judgments.rows).row(0, named=True)
    assert (row["headers"], row["lists"], row["bold"]) == (0, 0, 0)
    assert (row["baseline_headers"], row["baseline_lists"], row["baseline_bold"]) == (1, 1, 1)
    assert row["tokens"] == 9  # ours for task 0 , and longer than theirs: 8 words and a comma
    method = scores(found, "style_controlled_win_rate")[""]["method"]
    assert "length in words and punctuation marks" in method and "this run's games alone" in method


def test_the_main_metric_is_the_studys(lake, tmp_path):
    found = run(lake, arena(v2(tmp_path), metric="style_controlled_win_rate"), prefers_ours)
    assert found.scores.rows["metric"][0] == "style_controlled_win_rate"


def test_a_second_call_asks_nobody(lake, tmp_path):
    first = run(lake, arena(v2(tmp_path)), prefers_ours)
    second = run(lake, arena(v2(tmp_path)))
    assert second.judgments.computed == 0 and second.scores.rows.equals(first.scores.rows)


def test_no_verdict_at_all_is_a_score_without_a_value_and_with_a_reason(lake, tmp_path):
    found = run(lake, arena(v2(tmp_path)), lambda question, _: Answer(error="dead"))
    row = found.scores.rows.row(0, named=True)
    assert (row["metric"], row["value"], row["error"]) == ("win_rate", None, "no item has an outcome")
    assert row["failed"] == 8


def test_a_question_that_the_baseline_did_not_answer_is_refused(tmp_path):
    benchmark = arena(v2(tmp_path, 8, answered=6))
    with pytest.raises(BenchmarkError, match="lacks the baseline's answer to 2 of 8 questions, first 'q6'"):
        read_arena(benchmark)


def test_a_prompt_file_with_other_verdicts_is_refused(tmp_path):
    prompt = tmp_path / "p.yaml"
    prompt.write_text("{name: p, version: 1, kind: duel, labels: {A: 1, B: 0}, user: '{data} {form}'}")
    judge = PromptedJudge(
        name="j", engine="openai", model="m", base_url="http://localhost/v1", prompt=str(prompt)
    )
    with pytest.raises(BenchmarkError, match=r"label 'A' worth 1 is none of Arena-Hard's .A>>B"):
        check(arena(v2(tmp_path), judge=judge))


def test_two_questions_of_one_text_are_refused(tmp_path):
    files = v2(tmp_path, 2)
    (tmp_path / "questions.jsonl").write_text(
        (tmp_path / "questions.jsonl").read_text().replace("task 1", "task 0")
    )
    with pytest.raises(BenchmarkError, match=r"two questions of .* have the same text"):
        read_arena(arena(files))
