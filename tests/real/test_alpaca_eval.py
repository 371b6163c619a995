"""AlpacaEval 2's real judgments: its published win rates and alpaca-eval's own length control, exactly."""

import csv
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alpaca_eval.metrics import glm_winrate
from scipy.special import logit

from preceptor.compute.reward import Reward
from preceptor.endpoint.completion import Completion, Usage
from preceptor.evaluation.estimates import discrete_win_rate, win_rate
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.items import read_items
from preceptor.evaluation.pairwise import difficulty
from preceptor.evaluation.pairwise.difficulty import FILES
from preceptor.evaluation.pairwise.length_control import FULL, MINIMAL
from preceptor.judging.judge import Answer
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, STUDENT_RESPONSES
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import AnnotatorJudge
from tests.conftest import REAL_DATA
from tests.evaluation.benchmarks import NOTHING_LOADED, Asked, Student, classifier, engines, job

ALPACA_EVAL = REAL_DATA / "alpaca_eval"
pytestmark = [
    pytest.mark.skipif(not ALPACA_EVAL.is_dir(), reason=f"no real data at {REAL_DATA}"),
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
]
MODELS = ["gemma-7b-it", "gpt-3.5-turbo-1106", "vicuna-7b"]


def judgments(model: str) -> list[dict]:
    return json.loads(gzip.decompress((ALPACA_EVAL / "annotations" / f"{model}.json.gz").read_bytes()))


def outcomes(model: str) -> list[float]:
    return [row["preference"] - 1 for row in judgments(model)]


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, float]]:
    figures = ("win_rate", "standard_error", "discrete_win_rate", "length_controlled_winrate")
    with (ALPACA_EVAL / "weighted_alpaca_eval_gpt4_turbo_leaderboard.csv").open(newline="") as file:
        return {row[""]: {name: float(row[name]) / 100 for name in figures} for row in csv.DictReader(file)}


@pytest.mark.parametrize("model", MODELS)
def test_the_win_rates_are_the_published_ones(published, model):
    found, expected = win_rate(outcomes(model)), published[model]
    assert found.value == pytest.approx(expected["win_rate"], abs=1e-12)
    assert (found.high - found.value) / 1.96 == pytest.approx(expected["standard_error"], abs=1e-12)
    assert discrete_win_rate(outcomes(model)).value == pytest.approx(expected["discrete_win_rate"], abs=1e-12)


def test_all_805_instructions_are_items_with_the_references_output():
    path = str(ALPACA_EVAL / "outputs" / "gpt4_1106_preview.json.gz")
    judge = {"name": "judge", "engine": "sequence_classification", "model": "organisation/model"}
    items = read_items(Pairwise(name="alpaca", kind="pairwise", path=path, judge=judge))
    assert [(item.user[0], item.reference[0]) for item in items] == [
        (row["instruction"], row["output_1"]) for row in judgments("vicuna-7b")
    ]


def hub_files(folder: Path) -> str:
    """Files of the hub's columns: two gamed baselines and a difficulty for each of the 805, all made up."""
    draw, count = np.random.default_rng(0), 805
    gamed = pd.DataFrame(
        {
            "model": np.repeat(["concise", "verbose"], count),
            "index": np.tile(np.arange(count), 2),
            "preference": draw.random(2 * count),
            "std_delta_len": np.concatenate([draw.normal(-1, 0.4, count), draw.normal(1, 0.4, count)]),
            "instruction_difficulty": np.tile(draw.normal(0, 1, count), 2),
            "not_gamed_baseline": False,
        }
    )
    gamed.to_csv(folder / FILES[0], index=False)
    gamed["instruction_difficulty"][:count].to_csv(folder / FILES[1])
    return str(folder)


def recorded(model: str):
    """The model, and GPT-4 as a judge that says what it said then."""
    rows = {row["instruction"]: row for row in judgments(model)}

    def said(question, _):
        row = next(
            r
            for i, r in rows.items()
            if i.strip() in question.body["messages"][1]["content"]
            and r["output_2"].strip() in question.body["messages"][1]["content"]
        )
        raw = row["raw_completion"]
        reading = question.read(Completion(raw["text"], "length", Usage(None, None), raw))
        return Answer(json.dumps(raw["logprobs"]), reading.verdict, reading.outcome)

    return engines(Student(lambda instruction: rows[instruction]["output_2"]), asked=Asked(said))


def alpaca_eval_2(**settings) -> Pairwise:
    judge = AnnotatorJudge(
        name="gpt-4", engine="alpaca_eval", model="gpt-4-1106-preview", base_url="http://localhost/v1"
    )
    path = str(ALPACA_EVAL / "outputs" / "gpt4_1106_preview.json.gz")
    named = {"name": "alpaca-eval-2", "kind": "pairwise", "path": path, "reference": "gpt4", "judge": judge}
    return Pairwise(**named, **settings)


def by_alpaca_eval(model: str, name: str, folder: str, monkeypatch) -> float:
    """Its own entry point on the published annotations, which lie in the file's order."""
    monkeypatch.setattr(glm_winrate, "hf_hub_download", lambda filename, **_: f"{folder}/{filename}")
    columns = ["preference", "output_1", "output_2", "generator_1", "generator_2", "annotator"]
    rows = pd.DataFrame(judgments(model))[columns]
    found = glm_winrate.get_length_controlled_winrate(
        rows, name, save_weights_dir=None, is_warn_extreme_changes=False
    )
    return found["length_controlled_winrate"] / 100


@pytest.mark.parametrize("model", MODELS)
def test_the_whole_path_gives_the_published_figures_from_what_gpt_4_said(
    lake, published, model, tmp_path, monkeypatch
):
    """The model's recorded answers, judged by the recorded completions: our questions, order and reading.

    Length control is alpaca-eval's own on the same rows, whose folds go by the file's order: hashes, in whose
    order rows are stored, give another value.
    """
    evaluation = alpaca_eval_2(length_control=hub_files(tmp_path))
    found = evaluate(job(lake, evaluation, recorded(model), rows=500))
    assert str(found.account) == "805 judged + 0 failed + 0 filtered = 805, expected 805"
    by_item = {row["instruction"][0]: row["outcome"] for row in found.items.rows.to_dicts()}
    said = {row["instruction"]: row["preference"] - 1 for row in judgments(model)}
    assert by_item == pytest.approx(said, abs=1e-9)
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    assert list(scores) == ["lc_win_rate", "win_rate", "discrete_win_rate", "position_bias"]
    assert scores["win_rate"]["value"] == pytest.approx(published[model]["win_rate"], abs=1e-9)
    margin = (scores["win_rate"]["high"] - scores["win_rate"]["value"]) / 1.96
    assert margin == pytest.approx(published[model]["standard_error"], abs=1e-9)
    assert "weighted_alpaca_eval_gpt4_turbo of alpaca-eval" in scores["win_rate"]["judge"]
    theirs = by_alpaca_eval(model, FULL, str(tmp_path), monkeypatch)
    assert scores["lc_win_rate"]["value"] == pytest.approx(theirs, abs=1e-9)


class Scores:
    """A classifier whose scores make of every response the published probability of winning."""

    def __init__(self, model: str) -> None:
        self.rows = {(row["instruction"], row["output_2"]): row["preference"] - 1 for row in judgments(model)}

    def load(self, _):
        return self

    def score(self, conversations):
        texts = [(conversation.user[0], conversation.assistant[0]) for conversation in conversations]
        return [Reward(float(logit(self.rows[pair])) if pair in self.rows else 0.0) for pair in texts]


@pytest.mark.parametrize(
    ("model", "minimal"), [("gemma-7b-it", 0.1300), ("gpt-3.5-turbo-1106", 0.3777), ("vicuna-7b", 0.0931)]
)
def test_without_its_two_files_the_plain_win_rate_is_the_main_metric_and_rows_have_any_order(
    lake, published, reward_model, model, minimal, tmp_path, monkeypatch
):
    """docs/evaluation.md has these figures. By the order of hashes the last two would be 0.3766, 0.0948."""
    monkeypatch.setattr(difficulty, "_download", lambda place: False)
    answers = {row["instruction"]: row["output_2"] for row in judgments(model)}
    evaluation = alpaca_eval_2().model_copy(update={"judge": classifier(reward_model)})
    asked = job(lake, evaluation, engines(Student(answers.__getitem__), Scores(model)), rows=500)
    found = evaluate(asked)
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    assert list(scores) == ["win_rate", "minimal_lc_win_rate", "discrete_win_rate"]
    assert scores["win_rate"]["value"] == pytest.approx(published[model]["win_rate"], abs=1e-9)
    why = "the main metric in place of lc_win_rate, because alpaca-eval's df_gamed.csv"
    assert why in scores["win_rate"]["method"]
    theirs = by_alpaca_eval(model, MINIMAL, hub_files(tmp_path), monkeypatch)
    assert scores["minimal_lc_win_rate"]["value"] == pytest.approx(theirs, abs=1e-9)
    assert theirs == pytest.approx(minimal, abs=5e-5)
    assert "biased" in scores["minimal_lc_win_rate"]["method"]
    for table in (STUDENT_RESPONSES, EVAL_RESULTS):  # stored in another order, and scored anew
        (partition,) = lake.read(table).select(table.partition_by).unique().to_dicts()
        rows = lake.read(table, partition).sample(fraction=1, shuffle=True, seed=1)
        lake.publish(table, rows.select(list(table.row_schema)), partition, rows["fingerprint"][0])
    lake.delete(EVAL_SCORES, asked.partition)
    again = evaluate(job(lake, evaluation, NOTHING_LOADED, rows=500))
    assert again.scores.rows.equals(found.scores.rows)


def outputs(model: str) -> dict[str, str]:
    rows = json.loads(gzip.decompress((ALPACA_EVAL / "outputs" / f"{model}.json.gz").read_bytes()))
    return {row["instruction"]: row["output"] for row in rows}


@pytest.mark.slow
def test_version_1_is_its_805_davinci_responses_and_its_ranking_judge(lake):
    """A judge that ranks the longer answer first, in GPT-4's words: the share of longer answers comes out."""
    ours, theirs = outputs("alpaca-7b"), outputs("text_davinci_003")
    assert ours.keys() == theirs.keys()

    def longer_first(question, _):
        asked = question.body["messages"][1]["content"]
        first, second = re.findall(r'"answer": """(.*?)"""\n    }', asked, re.DOTALL)
        best = 2 if len(second) > len(first) else 1
        said = f"[{{'model': 'model_{best}', 'rank': 1}}, {{'model': 'model_{3 - best}', 'rank': 2}}]"
        reading = question.read(Completion(said, "stop", Usage(None, None), {}))
        return Answer(said, reading.verdict, reading.outcome)

    judge = AnnotatorJudge(
        name="gpt-4",
        engine="alpaca_eval",
        annotator="alpaca_eval_gpt4",
        model="gpt-4-0314",
        base_url="http://localhost/v1",
    )
    evaluation = Pairwise(
        name="alpaca-eval-1",
        kind="pairwise",
        path=str(ALPACA_EVAL / "outputs" / "text_davinci_003.json.gz"),
        reference="text_davinci_003",
        metric="win_rate",
        judge=judge,
    )
    using = engines(Student(ours.__getitem__), asked=Asked(longer_first))
    found = evaluate(job(lake, evaluation, using, rows=500))
    assert str(found.account) == "805 judged + 0 failed + 0 filtered = 805, expected 805"
    lengths = {i: (len(ours[i].strip()), len(theirs[i].strip())) for i in ours}
    decided = {i: pair for i, pair in lengths.items() if pair[0] != pair[1]}
    outcome = {row["instruction"][0]: row["outcome"] for row in found.items.rows.to_dicts()}
    assert {i: outcome[i] for i in decided} == {i: float(one > two) for i, (one, two) in decided.items()}
    shown = found.judgments.rows["shown"].value_counts()
    assert shown["count"].min() > 300  # alpaca-eval draws the order
    score = found.scores.rows.row(0, named=True)
    assert (score["metric"], score["reference"], score["n"]) == ("win_rate", "text_davinci_003", 805)
    assert score["value"] == pytest.approx(sum(outcome.values()) / 805)
    assert "alpaca_eval_gpt4 of alpaca-eval" in score["judge"]
