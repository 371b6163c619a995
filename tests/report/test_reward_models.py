"""The ranking under other reward maps, β and reward models, from the rows of the CAR table."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau, rankdata, spearmanr

from preceptor.current import current_fingerprints, register_current
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.report.first_under import (
    LOSS_ALONE,
    REWARD_ALONE,
    first_under,
    first_under_sentence,
)
from preceptor.report.reward_models import (
    reward_correlations,
    reward_means,
    reward_model_sentences,
    reward_rankings,
)
from preceptor.rewards.recorded import recorded_reward_fingerprint
from preceptor.study.schema import Study
from preceptor.suitability.table import build_car_table
from tests.report.lakes import BASES, empty_warehouse, put, small_study, stored

TEACHERS = ("a", "b", "c", "d")
ITEMS, SAMPLES = 12, 2


@pytest.fixture(params=["common", "available"])
def two_models(tmp_path, request):
    """Four teachers, two samples each, two reward models; b lacks an instruction, c rewards of one."""
    document = small_study(TEACHERS, BASES, runs=False).model_dump()
    second = {"name": "second", "engine": "recorded", "dataset": "d"}
    document["reward_models"] = [*document["reward_models"], second]
    car = {
        "reward_model": "grader",
        "reward_map": {"kind": "sigmoid"},
        "rows": request.param,
        "resamples": 100,
    }
    study = Study.model_validate({**document, "car": car})
    current, dice = current_fingerprints(study), np.random.default_rng(2)
    responses, rewards, losses = [], [], []
    for number in range(ITEMS):
        for place, teacher in enumerate(TEACHERS):
            for sample in range(SAMPLES):
                if (teacher, number) == ("b", 3):
                    continue
                id = {"response_id": f"{teacher}{number}-{sample}", "teacher": teacher, "sample": sample}
                row = {**id, "instruction_id": f"i{number:02}"}
                responses.append({**row, "turns": ["x"], "fingerprint": current.responses[teacher]})
                drawn = float(dice.normal(place / 2 - 1, 1))
                for model, reward in (("grader", drawn), ("second", -drawn + float(dice.normal(0, 0.5)))):
                    lost = (teacher, number, model) == ("c", 5, "second")
                    fingerprint = recorded_reward_fingerprint(study.reward_model(model), teacher)
                    named = {**row, "reward_model": model, "fingerprint": fingerprint}
                    rewards.append({**named, "reward": None if lost else reward})
                for base in BASES:
                    nats = float(dice.uniform(0.5, 1.5)) * (place + 1)
                    named = {**row, "base": base, "fingerprint": current.losses[base]}
                    losses.append({**named, "tokens": 10, "response_tokens": 10, "nll_sum": 10 * nats})
    stale = {**rewards[0], "fingerprint": "older", "reward": 99.0}
    asked = [{"instruction_id": f"i{n:02}", "turns": ["?"]} for n in range(ITEMS)]
    tables = [(RAW_INSTRUCTIONS, asked), (RESPONSES, responses)]
    tables += [(REWARDS, rewards), (BASE_LOSSES, losses)]
    table = build_car_table(stored(tmp_path, tables), study, current)
    warehouse = empty_warehouse(tmp_path)
    for each, rows in [*tables, (REWARDS, [*rewards, stale])]:
        put(warehouse, each, rows)
    register_current(warehouse, study, current)
    return study, warehouse, table, pl.DataFrame(rewards)


def test_means_are_those_of_the_car_table(two_models):
    study, warehouse, table, _ = two_models
    found = reward_rankings(reward_means(warehouse, study), study).filter(reward_model="grader")
    both = found.join(table, on=["base", "teacher"], suffix="_table")
    assert both.height == len(BASES) * len(TEACHERS)
    for name in ("mean_reward", "mean_loss", "car"):
        assert both[name].to_list() == pytest.approx(both[f"{name}_table"].to_list(), abs=1e-7)
    for name in ("rank", "instructions"):
        assert both[name].to_list() == both[f"{name}_table"].to_list()


def test_the_first_teacher_under_other_maps_and_betas(two_models):
    study, warehouse, table, _ = two_models
    means = reward_means(warehouse, study).filter(reward_model_index=0)
    rows = first_under(means, table, study)
    for base in BASES:
        of_base, there = rows.filter(base=base), means.filter(base=base)
        first = table.filter(base=base, rank=1)["teacher"].to_list()
        own = of_base.filter(pl.col("map").str.contains("the study's"), beta=study.car.beta).row(
            0, named=True
        )
        assert own["first"] == first and own["agrees"]
        lowest, highest = there.sort("loss")["teacher"][0], there.sort("squashed")["teacher"][-1]
        assert of_base.filter(map=LOSS_ALONE)["first"].to_list() == [[lowest]]
        assert of_base.filter(map=REWARD_ALONE)["first"].to_list() == [[highest]]
        assert of_base.filter(map="the score itself").is_empty()  # a's mean is negative: no CAR by it
        for name, beta, found in (
            of_base.filter(pl.col("map").str.starts_with("score")).select("map", "beta", "first").iter_rows()
        ):
            shift = float(name.split()[2]) * (1 if "+" in name else -1)
            values = (there["reward"] + shift) / (1 + beta * there["loss"])
            assert found == [there["teacher"][int(values.arg_max())]]
        said = first_under_sentence(of_base, first)
        assert f"Under {of_base['agrees'].sum()} of {of_base.height} settings" in said
        assert (f"by reward alone, {highest} is first" in said) == ([highest] != first)


def test_correlations_of_two_reward_models_are_those_of_their_ranks(two_models):
    study, warehouse, _, rewards = two_models
    rankings = reward_rankings(reward_means(warehouse, study), study)
    found = reward_correlations(warehouse, study, rankings)
    assert found["base"].to_list() == list(BASES)
    row = found.row(0, named=True)
    sides = [rankings.filter(reward_model=m, base=BASES[0]).sort("teacher") for m in ("grader", "second")]
    assert row["teachers"] == len(TEACHERS)
    cars = [side["car"].to_list() for side in sides]
    assert row["rho_car"] == pytest.approx(spearmanr(*cars).statistic)
    assert row["tau_car"] == pytest.approx(kendalltau(*cars).statistic)
    means = [side["mean_reward"].to_list() for side in sides]
    assert row["rho_reward"] == pytest.approx(spearmanr(*means).statistic)
    wide = rewards.drop_nulls("reward").pivot(
        "reward_model", index=["instruction_id", "response_id"], values="reward"
    )
    products, squares = 0.0, [0.0, 0.0]
    for _, of_instruction in wide.drop_nulls().group_by("instruction_id"):
        ranks = [rankdata(of_instruction[model]) for model in ("grader", "second")]
        apart = [side - side.mean() for side in ranks]
        products += apart[0] @ apart[1]
        squares = [total + side @ side for total, side in zip(squares, apart, strict=True)]
    assert row["rho_responses"] == pytest.approx(products / np.sqrt(squares[0] * squares[1]))
    assert row["rho_responses"] < -0.5
    assert (row["responses"], row["instructions"]) == (wide.drop_nulls().height, ITEMS)


def test_a_sentence_per_other_reward_model_names_its_first_teacher(two_models):
    study, warehouse, table, _ = two_models
    rankings = reward_rankings(reward_means(warehouse, study), study)
    said = reward_model_sentences(study, rankings, reward_correlations(warehouse, study, rankings))
    assert len(said) == len(BASES)
    for sentence, base in zip(said, BASES, strict=True):
        own, theirs = (
            rankings.filter(reward_model=m, base=base, rank=1)["teacher"][0] for m in ("grader", "second")
        )
        assert own == table.filter(base=base, rank=1)["teacher"][0]
        assert sentence.startswith(f"{base}, with second instead of grader: {own} ")
        assert ("stays first" in sentence) == (own == theirs) and "ρ of CAR over teachers" in sentence


def test_a_model_with_a_negative_mean_has_no_ranking(two_models):
    study, warehouse, _, _ = two_models
    plain = study.model_copy(
        update={"car": study.car.model_copy(update={"reward_map": type(study.car.reward_map)()})}
    )
    rankings = reward_rankings(reward_means(warehouse, study), plain)
    assert rankings.filter(reward_model="second")["car"].null_count() == len(BASES) * len(TEACHERS)
    said = reward_model_sentences(plain, rankings, reward_correlations(warehouse, plain, rankings))
    assert said == [] or all("no ranking" in sentence for sentence in said)
