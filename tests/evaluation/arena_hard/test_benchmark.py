"""Arena-Hard from questions to scores: two games an answer, per category, in either version's files."""

import json

import pytest

from preceptor.evaluation.arena_hard.battles import battles_of
from preceptor.evaluation.arena_hard.benchmark import check
from preceptor.evaluation.arena_hard.reading import read_arena
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.judging.judge import Answer
from preceptor.study.evaluation import ArenaHard
from preceptor.study.judges import PromptedJudge
from tests.evaluation.benchmarks import NOTHING_LOADED, Asked, Student, engines, job, write_lines

CATEGORIES = ("hard_prompt", "creative_writing")


def said_by(model: str, numbers) -> list[dict]:
    return [
        {
            "uid": f"q{n}",
            "model": model,
            "messages": [
                {"role": "user", "content": f"task {n}"},
                {"role": "assistant", "content": {"answer": f"# theirs {n} of {model}\n- **point** of {n}"}},
            ],
        }
        for n in numbers
    ]


def v2(tmp_path, count=8, answered=None) -> dict:
    """Every second question is creative writing, which Gemini's file alone answers."""
    asked = [
        {"uid": f"q{n}", "category": CATEGORIES[n % 2], "subcategory": "s", "prompt": f"task {n}"}
        for n in range(count)
    ]
    hard, creative = (range(start, count if answered is None else answered, 2) for start in (0, 1))
    flash = write_lines(tmp_path / "flash.jsonl", said_by("gemini-2.0-flash-001", creative))
    return {
        "path": write_lines(tmp_path / "questions.jsonl", asked),
        "answers": write_lines(tmp_path / "o3.jsonl", said_by("o3-mini-2025-01-31", hard)),
        "reference": "o3-mini",
        "categories": {"creative_writing": {"answers": flash, "reference": "flash"}},
    }


def v0(tmp_path, said_by_baseline="theirs {}") -> dict:
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
            "model_id": "gpt-4-0314",
            "choices": [{"index": 0, "turns": [{"content": said_by_baseline.format(n), "token_len": 2}]}],
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
    return evaluate(job(lake, benchmark, using, **settings))


def scores(found, metric: str) -> dict[str, dict]:
    return {row["category"]: row for row in found.scores.rows.filter(metric=metric).to_dicts()}


@pytest.mark.parametrize(("files", "category"), [(v0, ""), (v2, "hard_prompt")])
def test_the_better_answer_wins_in_both_games_and_both_formats(lake, tmp_path, files, category):
    found = run(lake, arena(files(tmp_path)), prefers_ours)
    assert set(found.items.rows["outcome"]) == {1.0}
    assert found.judgments.rows.height == 2 * found.items.rows.height
    assert found.scores.rows.select("metric", "category").row(0) == ("win_rate", category)
    row = scores(found, "win_rate")[category]
    assert row["value"] == 1.0 and row["low"] < 1.0  # Clopper and Pearson's: nothing was lost in so few
    assert "the authors' is" not in row["method"]
    assert scores(found, "position_bias")[""]["value"] == 0.0


def test_a_judge_that_always_takes_the_first_gives_a_half_and_full_bias(lake, tmp_path):
    found = run(lake, arena(v0(tmp_path)), lambda question, _: labelled(question, "A>B"))
    assert scores(found, "win_rate")[""]["value"] == 0.5
    assert scores(found, "position_bias")[""]["value"] == 1.0


def test_a_win_by_far_counts_as_three_battles(lake, tmp_path):
    """Shown first we win by far (3 battles), shown second we lose by little (1): 3 / 4."""
    found = run(lake, arena(v0(tmp_path)), lambda q, _: labelled(q, "A>>B" if ours_first(q) else "A>B"))
    assert scores(found, "win_rate")[""]["value"] == pytest.approx(3 / 4)
    assert set(found.items.rows["outcome"]) == {0.5}  # an item's own outcome has no weights


def asked_of(question) -> int:
    return int(question.body["messages"][-1]["content"].split("task ")[1].split("\n")[0])


def test_the_categories_of_v2_are_not_pooled_and_hard_prompts_are_the_main_number(lake, tmp_path):
    """By far in all 4 hard prompts: 1. All 4 of creative writing drawn: 0.5. Together they would be 7/8."""

    def by_category(question, number):
        return prefers_ours(question, number) if asked_of(question) % 2 == 0 else labelled(question, "A=B")

    found = run(lake, arena(v2(tmp_path)), by_category)
    rows = scores(found, "win_rate")
    assert {name: row["value"] for name, row in rows.items()} == {"hard_prompt": 1.0, "creative_writing": 0.5}
    assert {name: row["reference"] for name, row in rows.items()} == {
        "hard_prompt": "o3-mini",
        "creative_writing": "flash",
    }
    assert {row["n"] for row in rows.values()} == {4}
    assert found.scores.rows.select("metric", "category").row(0) == ("win_rate", "hard_prompt")


def test_each_category_of_v2_meets_its_own_baseline_in_its_own_words(lake, tmp_path):
    seen = []

    def judge(question, number):
        seen.append(question)
        return prefers_ours(question, number)

    found = run(lake, arena(v2(tmp_path)), judge)
    for question in seen:
        system, user = (message["content"] for message in question.body["messages"])
        creative = asked_of(question) % 2 == 1
        assert ("of gemini-2.0-flash-001" in user, "of o3-mini-2025-01-31" in user) == (
            creative,
            not creative,
        )
        assert ("how you would answer it yourself" in system) is not creative
    assert "; creative_writing: prompt arena_hard_creative v1 " in found.scores.rows["judge"][0]


def test_a_category_of_which_no_game_is_read_has_a_row_that_says_so_and_stays_the_main_one(lake, tmp_path):
    def deaf(question, number):
        return Answer(error="no verdict") if asked_of(question) % 2 == 0 else prefers_ours(question, number)

    found = run(lake, arena(v2(tmp_path)), deaf)
    first, *_ = found.scores.rows.to_dicts()
    assert (first["category"], first["value"], first["n"]) == ("hard_prompt", None, 0)
    assert first["error"] == "no item has an outcome"
    assert scores(found, "win_rate")["creative_writing"]["value"] == 1.0


def unread(question, number):
    """Of task 3 one game has no verdict, the other is won by far; all other games are lost by little."""
    if asked_of(question) == 3:
        return Answer(raw="?", error="no verdict") if ours_first(question) else labelled(question, "B>>A")
    return labelled(question, "B>A" if ours_first(question) else "A>B")


def test_v2_leaves_out_an_answer_of_which_one_game_is_unread(lake, tmp_path):
    found = run(lake, arena(v2(tmp_path)), unread)
    assert str(found.account) == "7 judged + 1 failed + 0 filtered = 8, expected 8"
    assert battles_of("run", found.items.rows, found.judgments.rows).height == 14
    assert scores(found, "win_rate")["creative_writing"]["value"] == 0.0


def test_v0_counts_an_answer_of_which_one_game_is_unread_by_the_other(lake, tmp_path):
    """Of 4 questions one game is unread: 6 battles lost, one game won by far is 3 of 9."""
    found = run(lake, arena(v0(tmp_path)), unread)
    assert str(found.account) == "4 judged + 0 failed + 0 filtered = 4, expected 4"
    row = scores(found, "win_rate")[""]
    assert (row["value"], row["n"]) == (pytest.approx(3 / 9), 4)
    assert "count by one game alone" in row["method"] and row["method"].endswith("no verdict: 1 of 4")
    outcome = {row["instruction"][0]: row["outcome"] for row in found.items.rows.to_dicts()}
    assert outcome == {"task 0": 0.0, "task 1": 0.0, "task 2": 0.0, "task 3": 1.0}
    retried = run(lake, arena(v0(tmp_path)), prefers_ours, retry_failed=True)
    assert retried.judgments.computed == 1  # the unread game alone is asked again
    again = scores(retried, "win_rate")[""]
    assert again["value"] == pytest.approx(6 / 12) and "one game alone" not in again["method"]


def test_v0_fails_an_answer_of_which_no_game_is_read(lake, tmp_path):
    def deaf(question, number):
        return Answer(error="?") if asked_of(question) == 3 else prefers_ours(question, number)

    found = run(lake, arena(v0(tmp_path)), deaf)
    assert str(found.account) == "3 judged + 1 failed + 0 filtered = 4, expected 4"


def test_the_styles_of_both_answers_stand_beside_a_battle(lake, tmp_path):
    found = run(lake, arena(v0(tmp_path, "# theirs\n- **point**")), prefers_ours)
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


@pytest.mark.parametrize("files", [v0, v2])
def test_no_verdict_at_all_is_a_score_without_a_value_and_with_a_reason(lake, tmp_path, files):
    found = run(lake, arena(files(tmp_path)), lambda question, _: Answer(error="dead"))
    row = found.scores.rows.row(0, named=True)
    assert (row["metric"], row["value"], row["error"]) == ("win_rate", None, "no item has an outcome")
    assert row["failed"] == row["expected"]


def test_a_question_that_the_baseline_did_not_answer_is_refused(tmp_path):
    benchmark = arena(v2(tmp_path, 8, answered=6))
    with pytest.raises(BenchmarkError, match="lacks the baseline's answer to 1 of 4 questions, first 'q6'"):
        read_arena(benchmark)


def test_creative_writing_without_its_own_baseline_is_refused_and_so_is_a_category_that_is_not_there(
    tmp_path,
):
    files = v2(tmp_path)
    with pytest.raises(BenchmarkError, match=r"'answers' and 'reference' under categories\.creative_writing"):
        check(arena({**files, "categories": {}}))
    flash = files["categories"]["creative_writing"]
    with pytest.raises(BenchmarkError, match=r"categories\.creative: no question .* creative_writing, hard"):
        check(arena({**files, "categories": {"creative_writing": flash, "creative": flash}}))
    check(arena(files))


def test_v0_has_no_baseline_of_a_category(tmp_path):
    files = v0(tmp_path)
    own = {"arena-hard-v0.1": {"answers": files["answers"], "reference": "r"}}
    with pytest.raises(BenchmarkError, match=r"categories: v0\.1 has one baseline"):
        check(arena({**files, "categories": own}))


def test_creative_writing_alone_is_held_against_its_own_baseline(lake, tmp_path):
    files = v2(tmp_path)
    asked = (tmp_path / "questions.jsonl").read_text().splitlines()
    write_lines(tmp_path / "questions.jsonl", [json.loads(line) for line in asked[1::2]])
    found = run(lake, arena(files), prefers_ours)
    row = scores(found, "win_rate")[""]
    assert (row["n"], row["reference"]) == (4, "flash") and "the authors' is" not in row["method"]


def test_another_baseline_than_the_authors_is_named(lake, tmp_path):
    files = v2(tmp_path)
    flash = files["categories"]["creative_writing"]["answers"]
    write_lines(tmp_path / "flash.jsonl", said_by("my own", range(1, 8, 2)))
    found = run(
        lake,
        arena({**files, "categories": {"creative_writing": {"answers": flash, "reference": "r"}}}),
        prefers_ours,
    )
    methods = {name: row["method"] for name, row in scores(found, "win_rate").items()}
    assert "the baseline is my own, the authors' is gemini-2.0-flash-001" in methods["creative_writing"]
    assert "the authors' is" not in methods["hard_prompt"]


def test_a_prompt_of_the_study_says_what_creative_writing_is_asked_in(lake, tmp_path):
    words = "{name: %s, version: 1, kind: duel, labels: {A>B: 1, B>A: 0}, user: '%s {data} {form}'}"
    paths = {name: tmp_path / f"{name}.yaml" for name in ("mine", "story")}
    for name, path in paths.items():
        path.write_text(words % (name, f"Told by {name}."))
    judge = PromptedJudge(
        name="j", engine="openai", model="m", base_url="http://localhost/v1", prompt=str(paths["mine"])
    )
    files = v2(tmp_path)
    with pytest.raises(BenchmarkError, match=r"categories\.creative_writing: .*'prompt'"):
        check(arena(files, judge=judge))
    files["categories"]["creative_writing"]["prompt"] = str(paths["story"])

    def told(question, number):
        name = "story" if asked_of(question) % 2 else "mine"
        assert question.body["messages"][0]["content"].startswith(f"Told by {name}.")
        return labelled(question, "A>B")

    run(lake, arena(files, judge=judge), told)


def test_a_prompt_file_with_other_verdicts_is_refused(tmp_path):
    prompt = tmp_path / "p.yaml"
    prompt.write_text("{name: p, version: 1, kind: duel, labels: {A: 1, B: 0}, user: '{data} {form}'}")
    judge = PromptedJudge(
        name="j", engine="openai", model="m", base_url="http://localhost/v1", prompt=str(prompt)
    )
    with pytest.raises(BenchmarkError, match=r"label 'A' with value 1 .*A>>B"):
        check(arena(v2(tmp_path), judge=judge))


def test_two_questions_of_one_text_are_refused(tmp_path):
    files = v0(tmp_path)
    (tmp_path / "questions.jsonl").write_text(
        (tmp_path / "questions.jsonl").read_text().replace("task 1", "task 0")
    )
    with pytest.raises(BenchmarkError, match=r"two questions of .* have the same text"):
        read_arena(arena(files))
