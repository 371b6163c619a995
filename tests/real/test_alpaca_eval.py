"""AlpacaEval 2's real judgments: its published win rates exactly; how far length control is from its own."""

import csv
import gzip
import json

import polars as pl
import pytest

from preceptor.evaluation.estimates import discrete_win_rate, win_rate
from preceptor.evaluation.items import read_items
from preceptor.evaluation.length_control import length_controlled
from preceptor.study.evaluation import Pairwise
from tests.conftest import REAL_DATA

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
    judge = {"name": "judge", "model": "organisation/model"}
    items = read_items(Pairwise(name="alpaca", kind="pairwise", path=path, judge=judge))
    assert [(item.user[0], item.reference[0]) for item in items] == [
        (row["instruction"], row["output_1"]) for row in judgments("vicuna-7b")
    ]
