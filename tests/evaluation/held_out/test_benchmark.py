"""Held-out loss and response ranking in the lake: the tuned model's own numbers, its base's beside them."""

import math

import pytest

from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.held_out import ranking_benchmark
from preceptor.evaluation.job import Engines, EvaluationJob
from preceptor.study.held_out import HeldOutLoss, ResponseRanking
from tests.conftest import save_language_model
from tests.evaluation.benchmarks import NOTHING_LOADED, Student, checkpoint, engines, write_lines


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[str, str]:
    """A base and another model in place of its tuned one."""
    folder = tmp_path_factory.mktemp("models")
    return save_language_model(folder / "base"), save_language_model(folder / "tuned", seed=7)


def rows(count: int) -> list[dict]:
    return [
        {"instruction": f"What is {n}?", "input": "", "output": f"It is the number {n}, which is {'x' * n}."}
        for n in range(count)
    ]


def evaluated(lake, evaluation, models, using=None, rows_at_once=4):
    base, tuned = models
    place = checkpoint("tuned", base=base, folder=tuned)
    using = using or engines(Student(str.upper))
    return evaluate(EvaluationJob(lake, "run", evaluation, place, using, rows_at_once))


def held_out(tmp_path, found, **settings) -> HeldOutLoss:
    path = write_lines(tmp_path / "pairs.jsonl", found)
    return HeldOutLoss(name="loss", kind="held_out_loss", path=path, **settings)


def ranking(tmp_path, found, **settings) -> ResponseRanking:
    path = write_lines(tmp_path / "pairs.jsonl", found)
    return ResponseRanking(name="rank", kind="response_ranking", path=path, **settings)


def scores(found) -> dict[str, dict]:
    return {row["metric"]: row for row in found.scores.rows.to_dicts()}


def test_held_out_loss_is_the_tuned_models_and_perplexity_its_exponential(lake, tmp_path, models):
    found = evaluated(lake, held_out(tmp_path, rows(10)), models)
    row = scores(found)["held_out_loss"]
    assert (row["unit"], row["n"], row["judged"]) == ("nats per token", 10, 10)
    assert row["value"] == pytest.approx(found.items.rows["outcome"].mean())
    assert row["low"] < row["value"] < row["high"]
    perplexity, weighted = scores(found)["perplexity"], scores(found)["token_weighted_loss"]
    assert perplexity["value"] == pytest.approx(math.exp(weighted["value"]))
    of_base = evaluated(lake, held_out(tmp_path, rows(10)), (models[1], models[0]), rows_at_once=3)
    # The same fingerprint: nothing is scored twice.
    assert scores(of_base)["held_out_loss"]["value"] == row["value"]


def test_an_empty_response_is_filtered_and_counted(lake, tmp_path, models):
    found = evaluated(lake, held_out(tmp_path, [*rows(5), {"instruction": "empty?", "output": ""}]), models)
    assert str(found.account) == "5 judged + 0 failed + 1 filtered = 6, expected 6"
    assert scores(found)["held_out_loss"]["n"] == 5


def test_the_studys_metric_comes_first_and_a_second_call_loads_nothing(lake, tmp_path, models):
    evaluation = held_out(tmp_path, rows(6), metric="perplexity")
    assert evaluated(lake, evaluation, models).scores.rows["metric"][0] == "perplexity"
    assert evaluated(lake, evaluation, models, NOTHING_LOADED).items.computed == 0


def test_response_ranking_sets_tuned_beside_base_and_tests_the_gain(lake, tmp_path, models):
    found = evaluated(lake, ranking(tmp_path, rows(12), others=4), models)
    by_name = scores(found)
    assert list(by_name)[:3] == ["normalised", "base_normalised", "normalised_gain"]
    gain = by_name["normalised"]["value"] - by_name["base_normalised"]["value"]
    assert by_name["normalised_gain"]["value"] == pytest.approx(gain)
    assert by_name["normalised_gain"]["unit"] == "bias"
    assert "48 pairs" in by_name["normalised"]["method"]
    rows_of_items = found.items.rows
    assert rows_of_items["score"].equals(rows_of_items["outcome"], check_names=False)
    assert rows_of_items["reference_score"].is_between(0, 1).all()
    assert found.account.judged == 12


def test_a_model_against_itself_gains_nothing(lake, tmp_path, models):
    found = evaluated(lake, ranking(tmp_path, rows(10)), (models[0], models[0]))
    assert scores(found)["normalised_gain"]["value"] == 0.0
    assert scores(found)["raw_gain"]["value"] == 0.0


def test_ranking_resumes_with_the_same_competitors(lake, tmp_path, models, monkeypatch):
    calls = []

    def dying(base, folder):
        calls.append(folder)
        if len(calls) == 3:  # the second chunk
            raise KeyboardInterrupt
        return engines(Student(str.upper)).losses(base, folder)

    def forbidden(*_):
        raise AssertionError

    monkeypatch.setattr(ranking_benchmark, "ITEMS_PER_LOAD", 5)
    evaluation = ranking(tmp_path, rows(12), others=3)
    with pytest.raises(KeyboardInterrupt):
        evaluated(lake, evaluation, models, Engines(forbidden, forbidden, forbidden, dying, forbidden), 5)
    resumed = evaluated(lake, evaluation, models, rows_at_once=5)
    assert resumed.items.reused == 5
    from preceptor.lake.store import Lake

    whole = evaluated(Lake(str(tmp_path / "other"), "test"), evaluation, models, rows_at_once=50)
    assert resumed.items.rows["outcome"].to_list() == pytest.approx(whole.items.rows["outcome"].to_list())
