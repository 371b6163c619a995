"""Judgments in the lake: a row per question, asked once, resumed after a kill, each with who said it."""

import pytest

from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.items import read_items
from preceptor.evaluation.judging.human_labels import read_labels
from preceptor.evaluation.judging.judge import protocol_of
from preceptor.evaluation.pairwise.metrics import metrics
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.judging.judge import Answer
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, JUDGMENTS
from preceptor.study.evaluation import HumanLabels
from preceptor.study.judges import PromptedJudge
from tests.evaluation.benchmarks import (
    NOTHING_LOADED,
    Asked,
    Student,
    duels,
    engines,
    job,
    pairwise,
    write_lines,
)


def prompted(**settings) -> PromptedJudge:
    endpoint = {"model": "judge-1", "base_url": "http://localhost/v1", "revision": "abc"}
    return PromptedJudge(**{"name": "referee", "engine": "openai", **endpoint, **settings})


def evaluation(tmp_path, count=6, judge=None, **settings):
    return pairwise(tmp_path, duels(count), "unused", judge=judge or prompted(), **settings)


def verdict(question, label: str) -> Answer:
    class Said:
        finish_reason = "stop"
        text = f'{{"verdict": "{label}"}}'

    reading = question.read(Said)
    return Answer(Said.text, reading.verdict, reading.outcome, 90, 9, 0.001)


def always(label: str) -> Asked:
    return Asked(lambda question, _: verdict(question, label))


def fair(question, _) -> Answer:
    """Prefers the answer that shouts, wherever it stands."""
    text = question.body["messages"][-1]["content"]
    first = text.split("ANSWER A BEGINS\n")[1].split("\n")[0]
    second = text.split("ANSWER B BEGINS\n")[1].split("\n")[0]
    return verdict(
        question, "tie" if first.isupper() == second.isupper() else "A" if first.isupper() else "B"
    )


def shouting(instruction: str) -> str:
    """Half of the answers shout."""
    return instruction.upper() if int(instruction.split()[1]) % 2 else instruction


def run(lake, benchmark, using, **settings):
    return evaluate(job(lake, benchmark, using, **settings))


def test_every_question_is_a_row_with_all_that_was_said(lake, tmp_path):
    judge = Asked(fair)
    run(lake, evaluation(tmp_path), engines(Student(shouting), asked=judge))
    rows = lake.read(JUDGMENTS, {"run": "run", "benchmark": "duels"})
    assert rows.height == 12 == len(judge.questions)
    assert rows.select("item_id", "sample", "shown", "draw").n_unique() == 12
    assert set(rows["shown"]) == {"response_first", "reference_first"}
    row = rows.row(0, named=True)
    assert (row["judge"], row["prompt_tokens"], row["response_tokens"], row["price"]) == (
        "judge-1@abc at http://localhost/v1",
        90,
        9,
        0.001,
    )
    assert rows["prompt_hash"].n_unique() == 12
    assert set(rows["verdict"]) <= {"A", "B", "tie"}
    assert rows["error"].null_count() == 12


def test_an_items_outcome_is_the_mean_of_both_orders(lake, tmp_path):
    found = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=Asked(fair)))
    rows = found.items.rows.sort("instruction")
    assert rows["outcome"].to_list() == [0.5, 1.0] * 3  # those that do not shout are ties
    biased = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=always("A")), name="biased")
    assert set(biased.items.rows["outcome"]) == {0.5}
    measures = biased.items.rows["measures"][0].to_list()
    assert {m["name"]: m["value"] for m in measures} == {"response_first": 1.0, "reference_first": 0.0}


def test_the_scores_name_the_judge_its_bias_and_the_three_shares(lake, tmp_path):
    found = run(lake, evaluation(tmp_path, 8), engines(Student(shouting), asked=always("A")))
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    assert list(scores)[:3] == ["win_rate", "minimal_lc_win_rate", "discrete_win_rate"]
    assert (scores["position_bias"]["value"], scores["position_bias"]["unit"]) == (1.0, "bias")
    assert scores["verdict_flips"]["value"] == 1.0
    assert [scores[f"{word}_share"]["value"] for word in ("win", "tie", "lose")] == [0.0, 1.0, 0.0]
    assert "self_consistency" not in scores
    for row in scores.values():
        assert row["judge"].startswith("referee (judge-1@abc at http://localhost/v1; prompt duel v1 ")
        assert "order both; temperature 0; n 1" in row["judge"]
        assert (row["expected"], row["judged"], row["failed"], row["filtered"]) == (8, 8, 0, 0)
        assert row["n"] == 8


def test_a_judge_that_is_asked_several_times_says_how_consistent_it_is(lake, tmp_path):
    def wavering(question, number):
        return verdict(question, "A" if question.body["seed"] % 2 else "B")

    judge = prompted(n=3, temperature=1.0)
    found = run(lake, evaluation(tmp_path, judge=judge), engines(Student(shouting), asked=Asked(wavering)))
    assert found.judgments.rows.height == 6 * 2 * 3
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    # Seeds 0, 1009 and 2018 are even, odd, even: of three pairs of draws one agrees.
    assert scores["self_consistency"]["value"] == pytest.approx(1 / 3)


def test_a_second_call_asks_nobody(lake, tmp_path):
    first = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=Asked(fair)))
    second = run(lake, evaluation(tmp_path), NOTHING_LOADED)
    assert (second.judgments.computed, second.judgments.reused, second.scores.computed) == (0, 12, 0)
    assert second.items.rows.equals(first.items.rows) and second.scores.rows.equals(first.scores.rows)


def test_a_killed_judge_is_asked_only_for_what_is_missing(lake, tmp_path):
    def dies(question, number):
        if number == 6:
            raise KeyboardInterrupt
        return fair(question, number)

    with pytest.raises(KeyboardInterrupt):
        run(lake, evaluation(tmp_path), engines(Student(shouting), asked=Asked(dies)))
    judge = Asked(fair)
    found = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=judge))
    assert (len(judge.questions), found.judgments.reused) == (6, 6)
    assert found.account.balanced and found.account.judged == 6


@pytest.mark.parametrize(
    "change",
    [
        {"model": "judge-2"},
        {"revision": "abd"},
        {"base_url": "http://elsewhere/v1"},
        {"temperature": 0.3},
        {"order": "random"},
        {"seed": 1},
        {"max_tokens": 99},
        {"n": 2, "temperature": 1.0},
    ],
)
def test_whatever_changes_a_judge_is_judged_anew(lake, tmp_path, change):
    run(lake, evaluation(tmp_path), engines(Student(shouting), asked=Asked(fair)))
    judge = Asked(fair)
    run(lake, evaluation(tmp_path, judge=prompted(**change)), engines(Student(shouting), asked=judge))
    assert len(judge.questions) == {"order": 6, "n": 24}.get(next(iter(change)), 12)


def test_another_word_in_the_prompt_is_judged_anew_and_an_address_of_the_same_model_is_not(lake, tmp_path):
    words = "name: own\nversion: 1\nkind: duel\nlabels: {A: 1, B: 0, tie: 0.5}\nuser: '{data} {form}'\n"
    prompt = tmp_path / "prompt.yaml"
    prompt.write_text(words)
    same = {"prompt": str(prompt), "served_as": "the judge"}
    one = evaluation(tmp_path, judge=prompted(**same))
    run(lake, one, engines(Student(shouting), asked=Asked(fair)))
    run(lake, evaluation(tmp_path, judge=prompted(**same, base_url="http://new/v1")), NOTHING_LOADED)
    prompt.write_text(words.replace("{form}", "Be brief. {form}"))
    judge = Asked(fair)
    run(lake, one, engines(Student(shouting), asked=judge))
    assert len(judge.questions) == 12


def test_failed_and_filtered_verdicts_are_two_things_and_the_account_balances(lake, tmp_path):
    def partial(question, _):
        text = question.body["messages"][-1]["content"]
        if "say 1\n" in text:
            return Answer(raw="hm", error="no verdict in 6 answers of the judge")
        if "say 2\n" in text:
            return Answer(filtered="withheld", error="withheld")
        return fair(question, _)

    found = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=Asked(partial)))
    assert str(found.account) == "4 judged + 1 failed + 1 filtered = 6, expected 6"
    rows = {row["instruction"][0]: row for row in found.items.rows.to_dicts()}
    assert rows["say 1"]["error"] == "no verdict (reference first): no verdict in 6 answers of the judge"
    assert rows["say 1"]["filtered"] is None
    assert rows["say 2"]["filtered"] == "no verdict (reference first): withheld"
    assert found.judgments.rows["raw"].str.contains("hm").sum() == 2
    assert {(row["n"], row["failed"], row["filtered"]) for row in found.scores.rows.to_dicts()[:3]} == {
        (4, 1, 1)
    }


def test_failed_verdicts_are_asked_for_again_on_request_and_the_scores_follow(lake, tmp_path):
    def sulking(question, number):
        return Answer(error="no verdict") if number < 3 else fair(question, number)

    first = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=Asked(sulking)))
    assert first.account.failed > 0
    again = run(lake, evaluation(tmp_path), NOTHING_LOADED)
    assert again.account == first.account
    judge = Asked(fair)
    mended = run(lake, evaluation(tmp_path), engines(Student(shouting), asked=judge), retry_failed=True)
    assert (len(judge.questions), mended.account.failed) == (3, 0)
    stored = lake.read(EVAL_SCORES, {"run": "run", "benchmark": "duels"})
    assert set(stored["failed"]) == {0}
    assert lake.read(EVAL_RESULTS, {"run": "run"})["error"].null_count() == 6


def test_the_same_text_as_the_references_is_a_draw_that_nobody_is_asked_about(lake, tmp_path):
    judge = Asked(fair)
    found = run(
        lake,
        evaluation(tmp_path, 3),
        engines(Student(lambda i: "word " * (int(i.split()[1]) + 1)), asked=judge),
    )
    assert judge.questions == []
    assert set(found.items.rows["outcome"]) == {0.5}
    assert set(found.judgments.rows["verdict"]) == {"the same text: not asked"}


def test_an_answer_that_is_missing_is_failed_and_the_judge_never_sees_it(lake, tmp_path):
    student = Student(shouting, fails=lambda i: "too long" if i == "say 3" else None)
    judge = Asked(fair)
    found = run(lake, evaluation(tmp_path), engines(student, asked=judge))
    assert len(judge.questions) == 10
    assert found.account.failed == 1 and found.account.balanced


def test_a_judge_is_held_against_people(lake, tmp_path):
    of_run = {"run": "run"}
    labels = [{**of_run, "instruction": f"say {n}", "label": "win" if n % 2 else "TIE "} for n in range(5)]
    labels += [
        {**of_run, "instruction": text, "label": word} for text, word in (("say 5", "lose"), ("x", "win"))
    ]
    labels += [{"run": "another", "instruction": "say 1", "label": "lose"}]  # people saw other answers there
    path = write_lines(tmp_path / "labels.jsonl", labels)
    benchmark = evaluation(tmp_path, human_labels={"path": path})
    found = run(lake, benchmark, engines(Student(shouting), asked=Asked(fair)))
    row = found.scores.rows.filter(metric="human_agreement").row(0, named=True)
    assert (row["value"], row["n"]) == (pytest.approx(5 / 6), 6)
    assert row["method"].endswith("1 items have only one of the two")
    write_lines(tmp_path / "labels.jsonl", [{**of_run, "instruction": "say 1", "label": "lose"}])
    again = run(lake, benchmark, NOTHING_LOADED)
    row = again.scores.rows.filter(metric="human_agreement").row(0, named=True)
    assert (row["value"], row["n"]) == (0.0, 1)


def test_labels_find_an_item_by_its_system_prompt_and_without_it_where_that_leaves_no_doubt(tmp_path):
    asked = (("Go on.", "Be brief."), ("Go on.", "Be long."), ("Say\nit.", "Be kind."))
    lines = [{"instruction": text, "system": system, "output": "x"} for text, system in asked]
    benchmark = pairwise(tmp_path, lines, "unused", judge=prompted())
    items = [item.item_id for item in read_items(benchmark)]

    def labelled(*rows, **columns):
        path = write_lines(tmp_path / "labels.jsonl", [{"run": "r", "label": "win", **row} for row in rows])
        return read_labels(benchmark, HumanLabels(path=path, **columns), read_items(benchmark))["item_id"]

    named = [{"instruction": row["instruction"], "system": row["system"]} for row in lines]
    assert labelled(*named).to_list() == items
    assert (
        labelled({"instruction": "Say it."}, {"instruction": "Say it.", "system": "Be rude."})[0] == items[2]
    )
    assert labelled({"instruction": "Go on.", "persona": "Be long. "}, system="persona").to_list() == [
        items[1]
    ]
    assert labelled({"instruction": "Of no item", "system": None})[0] not in items
    with pytest.raises(BenchmarkError, match=r"labels.jsonl:1: .*'human_labels.system'"):
        labelled({"instruction": "Go on.", "system": " "})
    with pytest.raises(BenchmarkError, match=r"repeats run and instruction of labels.jsonl:1"):
        labelled({"instruction": "Say it."}, {"instruction": "Say\nit.", "system": "Be kind."})


@pytest.mark.parametrize(("kind", "benchmark"), [("grade", "pairwise"), ("duel", "grades")])
def test_a_prompt_of_the_other_kind_is_refused_before_anybody_is_asked(tmp_path, kind, benchmark):
    words = {"duel": "labels: {A: 1, B: 0}", "grade": "labels: {'1': 1, '2': 2}"}
    prompt = tmp_path / "p.yaml"
    prompt.write_text(f"{{name: p, version: 1, kind: {kind}, {words[kind]}, user: '{{data}} {{form}}'}}")
    wanted = "duel" if kind == "grade" else "grade"
    with pytest.raises(BenchmarkError, match=f"'{kind}'.*'{wanted}'"):
        protocol_of(prompted(prompt=str(prompt)), "duel" if benchmark == "pairwise" else "grade")


def test_metrics_can_be_made_again_from_what_is_stored(lake, tmp_path):
    benchmark = evaluation(tmp_path)
    found = run(lake, benchmark, engines(Student(shouting), asked=Asked(fair)))
    from preceptor.evaluation.job import ScoredItems

    again = metrics(job(lake, benchmark, NOTHING_LOADED), ScoredItems(found.items, 6, found.judgments))
    assert [metric.name for metric in again] == found.scores.rows["metric"].to_list()
