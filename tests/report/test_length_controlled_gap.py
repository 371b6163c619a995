"""Guards against reporting a significant raw difference for a length-controlled win rate without one."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from preceptor.evaluation.items import read_items
from preceptor.evaluation.pairwise import difficulty
from preceptor.lake.schemas import CAR_TABLE, EVAL_DIFFERENCES, EVAL_RESULTS, EVAL_SCORES
from preceptor.report import tested_values as tested
from preceptor.report.answer import answers
from preceptor.report.evidence import gather
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import ClassifierJudge
from tests.report.lakes import BASES, compare_runs, empty_warehouse, put, small_study

N = 60
HARD = np.random.default_rng(0).normal(0, 1, N)


def hub_files(folder) -> None:
    """Two gamed baselines of a judge that loves length."""
    draw = np.random.default_rng(1)
    lines = ["model,index,preference,std_delta_len,instruction_difficulty,not_gamed_baseline"]
    for model, delta in (("concise", -1.0), ("verbose", 1.0)):
        for n in range(N):
            length = delta + draw.normal(0, 0.4)
            chance = expit(-1.2 * np.tanh(length) + 0.5 * HARD[n])
            lines.append(f"{model},{n},{chance},{length},{HARD[n]},False")
    (folder / "df_gamed.csv").write_text("\n".join(lines))
    (folder / "instruction_difficulty.csv").write_text("")


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Two students that the judge finds equal at equal lengths; one writes twice as many words."""
    monkeypatch.setattr(difficulty, "are_alpaca_evals", lambda _: True)
    hub_files(tmp_path)
    dice = np.random.default_rng(9)
    references = dice.integers(200, 3000, N)
    asked = [{"instruction": f"task {n}", "output": "r" * int(references[n])} for n in range(N)]
    (tmp_path / "alpaca.json").write_text(json.dumps(asked))
    duels = Pairwise(
        name="alpaca",
        kind="pairwise",
        path=str(tmp_path / "alpaca.json"),
        judge=ClassifierJudge(name="j", engine="sequence_classification", model="tiny/j"),
        length_control=str(tmp_path),
    )
    study = small_study(("a", "b"), (BASES[0],)).model_copy(update={"evaluations": (duels,)})
    rows, items = [], read_items(duels)
    for run, ratio in (("notes-a", 0.7), ("notes-b", 1.4)):
        characters = (references * ratio * dice.uniform(0.5, 1.5, N)).astype(int)
        delta = references - characters
        chance = expit(-0.4 - 1.2 * np.tanh(delta / delta.std(ddof=1)) + 0.5 * HARD)
        outcomes = dice.beta(20 * chance, 20 * (1 - chance))
        for item, length, outcome in zip(items, characters, outcomes, strict=True):
            place = {"run": run, "benchmark": "alpaca", "item_id": item.item_id, "sample": 0}
            reference = "".join(item.reference)
            rows.append(
                {**place, "response": ["x" * int(length)], "reference": reference, "outcome": outcome}
            )
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, EVAL_RESULTS, rows)
    named = {"benchmark": "alpaca", "metric": "lc_win_rate", "category": "", "unit": "share", "n": N}
    put(warehouse, EVAL_SCORES, [{**named, "run": run, "value": 0.5} for run in ("notes-a", "notes-b")])
    values = tested.tested_values(warehouse, study)["alpaca"].items.values
    metrics = dict(values.group_by("run").agg(pl.col("value").mean()).iter_rows())
    put(warehouse, EVAL_SCORES, [{**named, "run": run, "value": metrics[run]} for run in metrics])
    places = [("a", 1), ("b", 2)]
    ranked = [
        {"base": BASES[0], "teacher": t, "rank": n, "rank_low": 1, "rank_high": 2, "car": 1 / n}
        for t, n in places
    ]
    put(warehouse, CAR_TABLE, ranked)
    compare_runs(warehouse, study)
    return study, warehouse, metrics, pl.DataFrame(rows)


def test_a_raw_difference_is_not_reported_for_length_controlled_win_rates(measured):
    study, warehouse, metrics, rows = measured
    raw = rows.group_by("run").agg(pl.col("outcome").mean()).sort("run")["outcome"]
    assert raw[1] - raw[0] > 0.2
    row = warehouse.rows(EVAL_DIFFERENCES.name).row(0, named=True)
    assert row["metric"] == "lc_win_rate" and row["p_value"] > 0.05
    assert row["difference"] == pytest.approx(metrics["notes-a"] - metrics["notes-b"])
    (answer,) = answers(study, gather(warehouse, study))
    said = answer.outcomes[0].sentence
    assert f"{100 * abs(row['difference']):.1f} points" in said and "not significant" in said


def test_without_the_files_the_answer_says_that_nothing_was_tested(measured, tmp_path, monkeypatch):
    study, warehouse, _, _ = measured
    monkeypatch.setattr(difficulty, "are_alpaca_evals", lambda _: False)
    compare_runs(warehouse, study)
    row = warehouse.rows(EVAL_DIFFERENCES.name).row(0, named=True)
    assert row["p_value"] is None and "the files of length control are missing" in row["error"]
    (answer,) = answers(study, gather(warehouse, study))
    assert "not tested" in answer.outcomes[0].sentence and "chance" not in answer.outcomes[0].sentence
