"""Style control fitted over all runs, which separates effects that one run's games cannot separate."""

import numpy as np
import polars as pl
import pytest

from preceptor.evaluation.arena_hard.battles import battles_of
from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, JUDGMENTS
from preceptor.report.all_runs import score_together
from preceptor.study.evaluation import ArenaHard
from preceptor.study.judges import PromptedJudge
from tests.evaluation.benchmarks import write_lines
from tests.report.lakes import BASES, empty_warehouse, put, small_study

COUNT = 120


def arena(tmp_path, categories=("c",)) -> ArenaHard:
    asked = [
        {
            "uid": f"q{n}",
            "category": categories[n % len(categories)],
            "subcategory": "s",
            "prompt": f"task {n}",
        }
        for n in range(COUNT)
    ]
    path = write_lines(tmp_path / "questions.jsonl", asked)
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": {"answer": "!"}}]
    said = [{"uid": f"q{n}", "model": "baseline", "messages": messages} for n in range(COUNT)]
    answers = write_lines(tmp_path / "answers.jsonl", said)
    judge = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1")
    return ArenaHard(name="arena", kind="arena_hard", path=path, answers=answers, judge=judge)


def games(run: str, words: int, favour: float, dice: np.random.Generator) -> tuple[list[dict], list[dict]]:
    """A run whose answers have this many words; the judge prefers length and sees no other difference."""
    results, judgments = [], []
    for n in range(COUNT):
        length = max(1, int(dice.normal(words, 6)))
        place = {"run": run, "benchmark": "arena", "item_id": f"q{n}", "sample": 0}
        win = 1 / (1 + np.exp(-favour * (length - 30) / 10))
        outcomes = [float(dice.random() < win) for _ in range(2)]
        results.append(
            {**place, "task": "c", "response": ["word " * length], "reference": "word " * 30, "outcome": 0.5}
        )
        for shown, outcome in zip(("response_first", "reference_first"), outcomes, strict=True):
            verdict = "A>B" if (outcome == 1) == (shown == "response_first") else "B>A"
            judgments.append({**place, "shown": shown, "draw": 0, "verdict": verdict, "outcome": outcome})
    return results, judgments


@pytest.fixture
def fitted(tmp_path):
    return fit(tmp_path, (COUNT, COUNT, 0, 0))


def fit(tmp_path, account):
    """Two runs' scores after the joint fit; the first run's own fit failed."""
    dice = np.random.default_rng(0)
    study = small_study(("a", "b"), (BASES[0],), True).model_copy(update={"evaluations": (arena(tmp_path),)})
    warehouse = empty_warehouse(tmp_path)
    long, short = games("notes-a", 38, 1.0, dice), games("notes-b", 22, 1.0, dice)
    put(warehouse, EVAL_RESULTS, long[0] + short[0])
    put(warehouse, JUDGMENTS, long[1] + short[1])
    rates = [
        (run, metric)
        for run in ("notes-a", "notes-b")
        for metric in ("win_rate", "style_controlled_win_rate")
    ]
    row = {
        "benchmark": "arena",
        "category": "",
        "value": 0.9,
        "low": 0.8,
        "high": 0.95,
        "method": "alone",
        "n": COUNT,
        **dict(zip(("expected", "judged", "failed", "filtered"), account, strict=True)),
    }
    scores = [{**row, "run": run, "metric": metric} for run, metric in rates]
    scores[1] |= {"value": None, "low": None, "high": None, "error": "no finite coefficients fit best"}
    put(warehouse, EVAL_SCORES, scores)
    score_together(warehouse, study)
    return {(row["run"], row["metric"]): row for row in warehouse.rows("eval_scores").to_dicts()}


def test_an_untuned_base_does_not_change_the_other_runs(tmp_path):
    def scored(*more):
        dice = np.random.default_rng(0)
        asked = (arena(tmp_path),)
        study = small_study(("a", "b"), (BASES[0],), True).model_copy(update={"evaluations": asked})
        warehouse = empty_warehouse(tmp_path)
        played = {
            run: games(run, words, 1.0, dice) for run, words in (("notes-a", 38), ("notes-b", 22), *more)
        }
        put(warehouse, EVAL_RESULTS, [row for results, _ in played.values() for row in results])
        put(warehouse, JUDGMENTS, [row for _, judgments in played.values() for row in judgments])
        account = {"n": COUNT, "expected": COUNT, "judged": COUNT, "failed": 0, "filtered": 0}
        alone = {"benchmark": "arena", "category": "", "value": 0.5, "method": "alone", **account}
        rates = [{**alone, "run": run, "metric": "style_controlled_win_rate"} for run in played]
        put(warehouse, EVAL_SCORES, rates)
        score_together(warehouse, study)
        return {row.pop("run"): row for row in warehouse.rows("eval_scores").to_dicts()}

    without, beside = scored(), scored(("untuned-notes-base", 9))
    assert {run: beside[run] for run in without} == without
    assert beside["untuned-notes-base"]["value"] != 0.5
    assert "fitted to the games of 3 runs together" in beside["untuned-notes-base"]["method"]
    assert "fitted to the games of 2 runs together" in without["notes-a"]["method"]


def test_equally_strong_runs_of_different_length_get_equal_scores(fitted):
    values = [fitted[run, "style_controlled_win_rate"]["value"] for run in ("notes-a", "notes-b")]
    assert abs(values[0] - values[1]) < 0.12
    assert values == pytest.approx([0.5, 0.5], abs=0.1)


def test_only_the_controlled_metric_is_replaced_and_its_method_names_the_fit(fitted):
    assert fitted["notes-a", "win_rate"]["value"] == 0.9
    row = fitted["notes-a", "style_controlled_win_rate"]
    assert "fitted to the games of 2 runs together" in row["method"]
    assert row["low"] < row["value"] < row["high"]


def test_a_single_run_keeps_its_own_fit(tmp_path):
    study = small_study(("a",), (BASES[0],), True).model_copy(update={"evaluations": (arena(tmp_path),)})
    warehouse = empty_warehouse(tmp_path)
    results, judgments = games("notes-a", 38, 1.0, np.random.default_rng(1))
    put(warehouse, EVAL_RESULTS, results)
    put(warehouse, JUDGMENTS, judgments)
    row = {
        "run": "notes-a",
        "benchmark": "arena",
        "metric": "style_controlled_win_rate",
        "category": "",
        "value": 0.7,
    }
    put(warehouse, EVAL_SCORES, [row])
    score_together(warehouse, study)
    assert warehouse.rows("eval_scores")["value"].to_list() == [0.7]
    assert isinstance(warehouse.rows("eval_scores"), pl.DataFrame)


def test_a_run_whose_own_fit_failed_gets_the_joint_score(fitted):
    row = fitted["notes-a", "style_controlled_win_rate"]
    assert (row["value"], row["error"]) == (pytest.approx(0.5, abs=0.1), None)


def test_failed_answers_stay_failed(tmp_path):
    found = fit(tmp_path, (COUNT, COUNT - 1, 0, 0))
    row = found["notes-a", "style_controlled_win_rate"]
    assert (row["value"], row["error"]) == (None, "no finite coefficients fit best")
    assert found["notes-b", "style_controlled_win_rate"]["value"] == 0.9


def test_each_category_of_v2_has_its_own_fit_and_there_is_no_pooled_fit(tmp_path):
    """In one category the judge prefers length, in the other brevity, so each needs its own fit."""
    names = ("hard_prompt", "math")
    study = small_study(("a", "b"), (BASES[0],), True)
    study = study.model_copy(update={"evaluations": (arena(tmp_path, names),)})
    dice, results, judgments, scores = np.random.default_rng(2), [], [], []
    for run, words in (("notes-a", 38), ("notes-b", 22)):
        for number, name in enumerate(names):
            rows, games_of = games(run, words, 1.0 - 2 * number, dice)
            kept = {row["item_id"] for row in rows if int(row["item_id"][1:]) % 2 == number}
            results += [{**row, "task": name} for row in rows if row["item_id"] in kept]
            judgments += [row for row in games_of if row["item_id"] in kept]
            named = {"run": run, "benchmark": "arena", "metric": "style_controlled_win_rate"}
            account = {"expected": COUNT, "judged": COUNT, "failed": 0, "filtered": 0, "method": "alone"}
            scores.append({**named, **account, "category": name, "value": 0.9})
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, EVAL_RESULTS, results)
    put(warehouse, JUDGMENTS, judgments)
    put(warehouse, EVAL_SCORES, scores)
    score_together(warehouse, study)
    found = warehouse.rows("eval_scores")
    assert found.select("run", "category").rows() == [(row["run"], row["category"]) for row in scores]
    tables = [pl.DataFrame(rows, infer_schema_length=None) for rows in (results, judgments)]
    battles = pl.concat(
        [battles_of(run, *(rows.filter(run=run) for rows in tables)) for run in ("notes-a", "notes-b")]
    )
    for name in names:
        alone = style_controlled_win_rates(battles.filter(category=name), "v2.0").win_rates
        assert found.filter(category=name)["value"].to_list() == pytest.approx(alone["value"].to_list())
    assert all("fitted to the games of 2 runs together" in method for method in found["method"])
