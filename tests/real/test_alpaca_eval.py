"""AlpacaEval 2's real judgments: its published win rates exactly; how far length control is from its own."""

import csv
import gzip
import json
import re

import polars as pl
import pytest

from preceptor.endpoint.completion import Completion, Usage
from preceptor.endpoint.questions import Answer
from preceptor.evaluation.estimates import discrete_win_rate, win_rate
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.items import read_items
from preceptor.evaluation.length_control import length_controlled
from preceptor.study.evaluation import Pairwise
from preceptor.study.judges import AnnotatorJudge
from tests.conftest import REAL_DATA
from tests.evaluation.benchmarks import Asked, Student, engines, examination

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


def test_length_control_orders_the_models_as_published_though_its_formula_knows_less(published):
    """Without instruction difficulty and gamed baselines it lifts shorter models further than version 1."""
    found = {}
    for model in MODELS:
        rows = judgments(model)
        found[model] = length_controlled(
            pl.DataFrame(
                {
                    "outcome": outcomes(model),
                    "characters": [len(row["output_2"]) for row in rows],
                    "reference_characters": [len(row["output_1"]) for row in rows],
                }
            )
        )
    ours = {model: estimate.value for model, estimate in found.items()}
    theirs = {model: published[model]["length_controlled_winrate"] for model in MODELS}
    assert sorted(MODELS, key=ours.get) == sorted(MODELS, key=theirs.get)
    for model, estimate in found.items():
        assert published[model]["win_rate"] < theirs[model] < estimate.value
        assert estimate.low < estimate.value < estimate.high
    assert ours == pytest.approx(
        {"gemma-7b-it": 0.1300, "gpt-3.5-turbo-1106": 0.3777, "vicuna-7b": 0.0931}, abs=5e-4
    )  # measured with alpaca-eval 0.6.6's functions outside Preceptor; published: 0.104, 0.193, 0.063


def test_all_805_instructions_are_items_with_the_references_output():
    path = str(ALPACA_EVAL / "outputs" / "gpt4_1106_preview.json.gz")
    judge = {"name": "judge", "engine": "sequence_classification", "model": "organisation/model"}
    items = read_items(Pairwise(name="alpaca", kind="pairwise", path=path, judge=judge))
    assert [(item.user[0], item.reference[0]) for item in items] == [
        (row["instruction"], row["output_1"]) for row in judgments("vicuna-7b")
    ]


@pytest.mark.parametrize("model", MODELS)
def test_the_whole_path_gives_the_published_figures_from_what_gpt_4_said(lake, published, model):
    """The model's recorded answers, judged by the recorded completions: our questions, order and reading."""
    rows = {row["instruction"]: row for row in judgments(model)}
    student = Student(lambda instruction: rows[instruction]["output_2"])

    def recorded(question, _):
        row = next(
            r
            for i, r in rows.items()
            if i.strip() in question.body["messages"][1]["content"]
            and r["output_2"].strip() in question.body["messages"][1]["content"]
        )
        raw = row["raw_completion"]
        reading = question.read(Completion(raw["text"], "length", Usage(None, None), raw))
        return Answer(json.dumps(raw["logprobs"]), reading.verdict, reading.outcome)

    judge = AnnotatorJudge(
        name="gpt-4", engine="alpaca_eval", model="gpt-4-1106-preview", base_url="http://localhost/v1"
    )
    path = str(ALPACA_EVAL / "outputs" / "gpt4_1106_preview.json.gz")
    evaluation = Pairwise(
        name="alpaca-eval-2", kind="pairwise", path=path, judge=judge, metric="win_rate", reference="gpt4"
    )
    found = evaluate(examination(lake, evaluation, engines(student, asked=Asked(recorded)), rows=500))
    assert str(found.account) == "805 judged + 0 failed + 0 filtered = 805, expected 805"
    by_item = {row["instruction"][0]: row["outcome"] for row in found.items.rows.to_dicts()}
    assert by_item == pytest.approx({i: row["preference"] - 1 for i, row in rows.items()}, abs=1e-9)
    score = found.scores.rows.row(0, named=True)
    assert (score["metric"], score["n"]) == ("win_rate", 805)
    assert score["value"] == pytest.approx(published[model]["win_rate"], abs=1e-9)
    margin = (score["high"] - score["value"]) / 1.96
    assert margin == pytest.approx(published[model]["standard_error"], abs=1e-9)
    assert "weighted_alpaca_eval_gpt4_turbo of alpaca-eval" in score["judge"]


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
    found = evaluate(examination(lake, evaluation, using, rows=500))
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
