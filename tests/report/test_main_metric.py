"""The main metric of a benchmark is the same everywhere it is used."""

import polars as pl
import pytest

from preceptor.evaluation.arena_hard.categories import authors_baseline, main_category, pooled
from preceptor.lake.schemas import EVAL_DIFFERENCES, EVAL_RESULTS, EVAL_SCORES, JUDGMENTS
from preceptor.report.all_runs import score_together
from preceptor.report.averages import add_averages
from preceptor.report.main_metric import main_metrics
from preceptor.report.page import build_report
from preceptor.report.predicted import predicted_actual
from preceptor.study.averages import Average
from preceptor.study.evaluation import ArenaHard
from preceptor.study.judges import PromptedJudge
from tests.report.lakes import BASES, FACTS, compare_runs, empty_warehouse, put, small_study

RUNS = ("notes-a", "notes-b")


def score(run: str, benchmark: str, metric: str, value: float | None = 0.5, category: str = "") -> dict:
    account = {"n": 10, "expected": 10, "judged": 10, "failed": 0, "filtered": 0}
    named = {"category": category, "unit": "share", "method": f"how {metric} is made", "reference": "r"}
    return {"run": run, "benchmark": benchmark, "metric": metric, "value": value, **account, **named}


def warehouse_of(tmp_path, scores):
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, EVAL_SCORES, scores)
    return warehouse


def study_of(*more):
    study = small_study(("a", "b"), (BASES[0],), True)
    kept = [evaluation for evaluation in study.evaluations if not more or evaluation.kind != "pairwise"]
    return study.model_copy(update={"evaluations": (*kept, *more)})


def duels(full: set[str]) -> list[dict]:
    """The scores of two runs; only some have the full length control."""
    rows = []
    for run in RUNS:
        rows.append(score(run, "open-ended", "win_rate", 0.3))
        rows.append(score(run, "open-ended", "lc_win_rate" if run in full else "minimal_lc_win_rate", 0.6))
        rows.append(score(run, "tasks-exam", "accuracy", 0.1))
    return rows


@pytest.mark.parametrize(
    ("full", "metric"), [(set(), "win_rate"), ({"notes-a"}, "lc_win_rate"), (set(RUNS), "lc_win_rate")]
)
def test_a_benchmark_has_one_main_metric_and_never_the_minimal_one(tmp_path, full, metric):
    study, warehouse = study_of(), warehouse_of(tmp_path, duels(full))
    score_together(warehouse, study)
    study = study.model_copy(update={"averages": (Average(name="AP", of=("open-ended", "tasks-exam")),)})
    assert main_metrics(warehouse.rows("eval_scores"), study)["open-ended"] == (metric, "")
    add_averages(warehouse, study)
    table = predicted_actual(warehouse, study)
    assert set(table.filter("main", benchmark="open-ended")["metric"]) == {metric}
    averages = {row["run"]: row for row in warehouse.rows("eval_scores").filter(benchmark="AP").to_dicts()}
    for run in RUNS:
        if metric == "win_rate" or run in full:
            assert f"(open-ended ({metric}) + tasks-exam (accuracy)) / 2" in averages[run]["method"]
            assert averages[run]["value"] == pytest.approx((0.3 if metric == "win_rate" else 0.6) / 2 + 0.05)
        else:
            assert (averages[run]["value"], averages[run]["error"]) == (None, "no value on open-ended")
            row = warehouse.rows("eval_scores").row(
                by_predicate=(pl.col("run") == run) & (pl.col("metric") == "lc_win_rate"), named=True
            )
            assert row["value"] is None and "materialize eval_results of this run again" in row["error"]
    page = build_report(study, warehouse, FACTS)
    assert page.index(f"open-ended: {metric}") < page.index("Other metrics")


def test_without_any_score_the_main_metric_is_the_studys(tmp_path):
    assert main_metrics(warehouse_of(tmp_path, []).rows("eval_scores"), study_of()) == {
        "tasks-exam": ("accuracy", ""),
        "open-ended": ("lc_win_rate", ""),
    }


def test_pooled_categories_and_the_main_category():
    assert pooled("v0.1", ["a", "b"]) and pooled("v2.0", ["hard_prompt"])
    assert not pooled("v2.0", ["hard_prompt", "creative_writing"])
    assert main_category(["creative_writing", "hard_prompt"]) == "hard_prompt"
    assert main_category(["coding", "creative_writing"]) == "coding"
    assert main_category(["", "hard_prompt"]) == main_category([]) == ""
    assert authors_baseline("v0.1", "arena-hard-v0.1") == "gpt-4-0314"
    assert authors_baseline("v2.0", "creative_writing") == "gemini-2.0-flash-001"
    assert {authors_baseline("v2.0", c) for c in ("hard_prompt", "coding", "math")} == {"o3-mini-2025-01-31"}


@pytest.fixture
def arena(tmp_path):
    """Two runs on v2.0: similar on hard prompts, and one ahead on all of creative writing."""
    (tmp_path / "unread.jsonl").write_text("")
    judge = PromptedJudge(name="j", engine="openai", model="m", base_url="http://localhost/v1")
    path = str(tmp_path / "unread.jsonl")
    study = study_of(ArenaHard(name="arena", kind="arena_hard", path=path, answers=path, judge=judge))
    values = {"hard_prompt": (0.25, 0.5), "creative_writing": (1.0, 0.0)}
    scores, results = [score(run, "tasks-exam", "accuracy", 0.1) for run in RUNS], []
    for category, pair in values.items():
        for run, value in zip(RUNS, pair, strict=True):
            scores += [
                score(run, "arena", m, value, category) for m in ("win_rate", "style_controlled_win_rate")
            ]
            results += [
                {"run": run, "benchmark": "arena", "item_id": f"{category}{n}", "task": category}
                | {"sample": 0, "outcome": 1.0 if n < 8 * value else 0.0, "response": ["a"], "reference": "b"}
                for n in range(8)
            ]
    games = [
        {**row, "shown": shown, "draw": 0, "verdict": ("A>B", "B>A")[(row["outcome"] == 1.0) == swapped]}
        for row in results
        for swapped, shown in enumerate(("response_first", "reference_first"))
    ]
    warehouse = warehouse_of(tmp_path, scores)
    put(warehouse, EVAL_RESULTS, results)
    judged = [{name: game[name] for name in game.keys() & JUDGMENTS.schema.keys()} for game in games]
    put(warehouse, JUDGMENTS, judged)
    return study, warehouse


def test_hard_prompts_are_the_main_category_of_v2_in_scores_predictions_and_averages(arena):
    study, warehouse = arena
    study = study.model_copy(update={"averages": (Average(name="AP", of=("arena", "tasks-exam")),)})
    assert main_metrics(warehouse.rows("eval_scores"), study)["arena"] == ("win_rate", "hard_prompt")
    add_averages(warehouse, study)
    table = predicted_actual(warehouse, study).filter(benchmark="arena", run="notes-b")
    assert {row["metric"]: (row["main"], row["value"]) for row in table.to_dicts()} == {
        "win_rate on hard_prompt": (True, 0.5),
        "win_rate on creative_writing": (False, 0.0),
        "style_controlled_win_rate on hard_prompt": (False, 0.5),
        "style_controlled_win_rate on creative_writing": (False, 0.0),
    }
    main = warehouse.query("report/scores").filter("main", benchmark="arena")
    assert set(main["category"]) == {"hard_prompt"}
    average = warehouse.rows("eval_scores").filter(benchmark="AP", run="notes-b").row(0, named=True)
    assert average["value"] == pytest.approx((0.5 + 0.1) / 2)
    assert "(arena (win_rate on hard_prompt) + tasks-exam (accuracy)) / 2" in average["method"]


def test_differences_on_v2_are_those_of_its_main_category(arena):
    study, warehouse = arena
    (row,) = compare_runs(warehouse, study).to_dicts()
    assert (row["difference"], row["n"]) == (-0.25, 8)  # with creative writing it would be 0.375 over 16
    assert row["method"].endswith("; items of hard_prompt")
    assert row["metric"] == "win_rate on hard_prompt"
    assert set(row) == set(EVAL_DIFFERENCES.row_schema)
