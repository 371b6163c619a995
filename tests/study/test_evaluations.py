"""The kinds of evaluation as a study declares them: what is needed, and what goes together."""

import pytest

from preceptor.study.load import StudyError, load_study
from tests.study.documents import VALID

ENDPOINT = "model: m, base_url: 'http://localhost/v1'"
DUEL = f"{{name: j, engine: openai, {ENDPOINT}}}"
LINE = VALID.split("evaluations:")[0].count("\n") + 2
GOOD = {
    "alpaca-eval": f"kind: pairwise, path: d.json, judge: {{name: j, engine: alpaca_eval, {ENDPOINT}}}",
    "lima": f"kind: pairwise, path: d.json, judge: {DUEL}",
    "arena": f"kind: arena_hard, path: d.json, answers: d.json, judge: {DUEL}",
    "grades": f"kind: grades, path: d.json, judge: {DUEL}",
    "gsm8k": "kind: lm_eval, preset: gsm8k, data: d.json",
    "code": "kind: humaneval, path: d.json, run_programs: true",
    "ranking": "kind: response_ranking, path: d.json",
    "loss": "kind: held_out_loss, path: d.json",
    "people": "kind: human_ratings, path: d.json, scale: acceptance",
}


def study(tmp_path, *evaluations: str, averages: str = ""):
    (tmp_path / "model").mkdir(exist_ok=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    for name in ("questions.jsonl", "answers.jsonl", "scores.csv", "d.json"):
        (tmp_path / name).write_text("")
    listed = "".join(f"  - {{{evaluation}}}\n" for evaluation in evaluations)
    text = VALID.split("evaluations:")[0] + f"evaluations:\n{listed}"
    path = tmp_path / "study.yaml"
    path.write_text(text + (f"averages:\n  - {averages}\n" if averages else ""))
    return load_study(path)


def test_every_kind_fits_in_one_line_and_has_a_main_metric(tmp_path):
    found = study(tmp_path, *(f"name: {name}, {rest}" for name, rest in GOOD.items()))
    assert {evaluation.name: evaluation.metric for evaluation in found.evaluations} == {
        "alpaca-eval": "lc_win_rate",
        "lima": "lc_win_rate",
        "arena": "win_rate",
        "grades": "grade",
        "gsm8k": "benchmark_score",
        "code": "pass@1",
        "ranking": "normalised",
        "loss": "held_out_loss",
        "people": "acceptance_rate",
    }
    assert [e.name for e in found.evaluations if not e.higher_is_better] == ["loss"]


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (
            f"name: x, kind: pairwise, path: d.json, judge: {{name: j, {ENDPOINT}}}",
            "judge.engine: is required",
        ),
        (
            f"name: x, kind: grades, path: d.json, judge: {{name: j, engine: alpaca_eval, {ENDPOINT}}}",
            "engine",
        ),
        (
            f"name: x, kind: grades, path: d.json, judge: {{name: j, engine: openai, n: 3, {ENDPOINT}}}",
            "n above 1 needs a temperature above 0",
        ),
        ("name: x, kind: lm_eval, data: d.json", "exactly one of 'preset' and 'task'"),
        ("name: x, kind: lm_eval, preset: gsm9k, data: d.json", "gsm9k"),
        ("name: x, kind: lm_eval, task: mine, data: d.json", "needs 'tasks'"),
        ("name: x, kind: humaneval, path: d.json", "install bubblewrap"),
        ("name: x, kind: human_ratings, path: d.json, scale: verdict", "needs 'reference'"),
        ("name: x, kind: response_ranking, path: d.json, others: 0", "others"),
        ("name: x, kind: arena_hard, path: d.json, answers: gone.json, judge: " + DUEL, "no such file"),
        (
            "name: x, kind: arena_hard, path: d.json, answers: d.json, judge: "
            + DUEL
            + ", categories: {creative_writing: {answers: gone.json, reference: r}}",
            "categories.creative_writing.answers",
        ),
        (
            "name: x, kind: pairwise, path: d.json, judge: " + DUEL + ", sampling: {n: 2, temperature: 1}",
            "'n'",
        ),
    ],
)
def test_a_problem_has_its_line_and_field(tmp_path, evaluation, message):
    with pytest.raises(StudyError, match=message) as caught:
        study(tmp_path, evaluation)
    assert f"study.yaml:{LINE}: evaluations[0]" in str(caught.value)


def test_an_average_refuses_unknown_benchmarks_and_metrics_that_are_not_shares(tmp_path):
    both = [f"name: {name}, {GOOD[name]}" for name in ("alpaca-eval", "arena", "loss")]
    found = study(tmp_path, *both, averages="{name: AP, of: [alpaca-eval, arena]}")
    assert found.averages[0].of == ("alpaca-eval", "arena")
    for average, message in (
        ("{name: AP, of: [alpaca-eval, mt-bench]}", "'mt-bench' is not among the study's evaluations"),
        ("{name: AP, of: [alpaca-eval, loss]}", r"'loss' \(held_out_loss\) is not a share"),
        ("{name: arena, of: [alpaca-eval, arena]}", "'arena' is already the name of an evaluation"),
        ("{name: AP, of: [arena]}", "at least two"),
    ):
        with pytest.raises(StudyError, match=message):
            study(tmp_path, *both, averages=average)


def test_a_key_in_a_judges_address_is_refused(tmp_path):
    judge = "{name: j, engine: openai, model: m, base_url: 'http://localhost/v1?key=sk-123'}"
    with pytest.raises(StudyError) as caught:
        study(tmp_path, f"name: x, kind: grades, path: d.json, judge: {judge}")
    assert "sk-123" not in str(caught.value)
