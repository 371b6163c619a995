"""Rows made under settings that the study no longer has do not count, and are named as missing."""

import warnings
from pathlib import Path

import polars as pl
import pytest

from preceptor.current import ROW_TABLES, Current, current_fingerprints
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Study
from preceptor.suitability.table import RankingError, beta_sweep, build_car_table, build_suitability
from tests.conftest import save_language_model

SQL = Path(__file__).parents[2] / "sql"
COUNT = 20


def publish(lake, table, partition, fingerprint="f", count=COUNT, **columns):
    teacher = partition.get("teacher", "")
    rows = pl.DataFrame({"instruction_id": [f"i{n}" for n in range(count)]})
    rows = rows.with_columns(sample=0, response_id=pl.concat_str(pl.lit(teacher), "instruction_id"))
    rows = rows.with_columns(**{name: pl.lit(value) for name, value in columns.items()})
    lacking = [pl.lit(None).alias(name) for name in table.row_schema if name not in rows.columns]
    lake.publish(
        table,
        table.conform(rows.with_columns(lacking).select(list(table.row_schema))),
        partition,
        fingerprint,
    )


@pytest.fixture
def filled(lake):
    publish(lake, RAW_INSTRUCTIONS, {})
    for number, teacher in enumerate("ab"):
        publish(lake, RESPONSES, {"teacher": teacher})
        publish(lake, REWARDS, {"reward_model": "r", "teacher": teacher}, reward=5.0 + number)
        losses = {"nll_sum": 20.0, "tokens": 10, "response_tokens": 20}
        publish(lake, BASE_LOSSES, {"base": "x", "teacher": teacher}, **losses)
    return lake


def lost_study(folder) -> Study:
    """Of two teachers and two bases, one each whose model is nowhere; they share a name."""
    save_language_model(folder / "model")
    models = {"here": str(folder / "model"), "gone": "nobody/nowhere"}
    return Study.model_validate(
        {
            "name": "s",
            "instructions": {"sources": [{"name": "s", "dataset": "d"}]},
            "teachers": [{"name": n, "engine": "transformers", "model": m} for n, m in models.items()],
            "bases": [{"name": n, "model": m} for n, m in models.items()],
            "reward_models": [{"name": "r", "engine": "recorded", "dataset": "d", "revision": "0" * 40}],
        }
    )


def test_a_teacher_or_base_whose_model_is_nowhere_is_named_and_the_others_are_ranked(lake, tmp_path):
    study = lost_study(tmp_path)
    current = current_fingerprints(study)
    assert current.responses.keys() == current.losses.keys() == {"here"}
    assert current.parts() == {
        "responses": current.responses,
        "rewards": current.rewards,
        "losses": current.losses,
    }
    publish(lake, RAW_INSTRUCTIONS, {})
    for teacher in ("here", "gone"):
        publish(lake, RESPONSES, {"teacher": teacher}, current.responses["here"])
        place = {"reward_model": "r", "teacher": teacher}
        publish(lake, REWARDS, place, current.rewards[teacher], reward=5.0)
        losses = {"nll_sum": 20.0, "tokens": 10, "response_tokens": 20}
        for base in ("here", "gone"):
            publish(lake, BASE_LOSSES, {"base": base, "teacher": teacher}, current.losses["here"], **losses)
    warehouse = Warehouse(lake, SQL)
    warehouse.attach(*ROW_TABLES)
    rows = build_car_table(warehouse, study, current).select("base", "teacher", "rank", "missing").rows()
    ranked, *missing = rows
    assert ranked == ("here", "here", 1, None)
    assert [row[:3] for row in missing] == [
        ("here", "gone", None),
        ("gone", "gone", None),
        ("gone", "here", None),
    ]
    for row in missing:
        assert row[3].startswith(
            "model 'nobody/nowhere' at revision 'main' is neither in the local cache nor"
        )
        assert len(row[3]) <= 301


def test_without_the_reward_model_nobody_is_ranked(tmp_path):
    study = lost_study(tmp_path)
    model = {"name": "r", "engine": "sequence_classification", "model": "nobody/nowhere"}
    with pytest.raises(ValueError, match="'nobody/nowhere' at revision 'main' is neither in the local cache"):
        current_fingerprints(Study.model_validate(study.model_dump() | {"reward_models": [model]}))


def table(lake, losses="f", reward_map=None, build=build_car_table, **responses) -> dict[str, dict]:
    study = Study.model_validate(
        {
            "car": {"reward_map": {"kind": reward_map or "identity"}},
            "name": "s",
            "instructions": {"sources": [{"name": "s", "dataset": "d"}]},
            "teachers": [{"name": name, "engine": "recorded", "dataset": "d"} for name in "ab"],
            "bases": [{"name": "x", "model": "m"}],
            "reward_models": [{"name": "r", "engine": "recorded", "dataset": "d"}],
        }
    )
    warehouse = Warehouse(lake, SQL)
    warehouse.attach(*ROW_TABLES)
    current = Current({"a": "f", "b": "f", **responses}, {"a": "f", "b": "f"}, {"x": losses})
    return {row["teacher"]: row for row in build(warehouse, study, current).to_dicts()}


def test_means_ranks_and_car_of_known_rows(filled):
    rows = table(filled)
    # r = 5 and 6, L = 20 / 10 = 2, β = 3: 5 / 7 and 6 / 7
    assert (rows["a"]["car"], rows["b"]["car"]) == pytest.approx((5 / 7, 6 / 7))
    assert (rows["a"]["rank"], rows["b"]["rank"], rows["a"]["tokens_scored"]) == (2, 1, 0.5)


def test_losses_of_older_settings_do_not_count_beside_newer_ones(filled):
    publish(
        filled, BASE_LOSSES, {"base": "x", "teacher": "a"}, "g", nll_sum=10.0, tokens=10, response_tokens=10
    )
    rows = table(filled, losses="g")
    assert rows["b"]["missing"] == "no losses under x"
    assert (rows["b"]["rank"], rows["b"]["without_loss"]) == (None, COUNT)
    assert rows["a"]["mean_loss"] == 1.0


def test_a_teacher_whose_responses_are_of_older_settings_has_none(filled):
    rows = table(filled, b="g")
    assert rows["b"]["missing"] == "no responses"
    assert rows["a"]["rank"] == 1


def test_scores_of_responses_that_were_replaced_do_not_count(filled):
    publish(filled, RESPONSES, {"teacher": "b"}, count=12)
    rows = table(filled)
    assert (rows["b"]["without_response"], rows["b"]["without_reward"], rows["b"]["without_loss"]) == (
        8,
        0,
        0,
    )
    assert rows["a"]["instructions"] == rows["b"]["instructions"] == 12


def test_one_instruction_is_ranked_without_intervals_and_numpy_warns_of_nothing(lake):
    losses = {"nll_sum": 20.0, "tokens": 10, "response_tokens": 20}
    publish(lake, RAW_INSTRUCTIONS, {}, count=1)
    for number, teacher in enumerate("ab"):
        publish(lake, RESPONSES, {"teacher": teacher}, count=1)
        publish(lake, REWARDS, {"reward_model": "r", "teacher": teacher}, count=1, reward=5.0 + number)
        publish(lake, BASE_LOSSES, {"base": "x", "teacher": teacher}, count=1, **losses)
    with warnings.catch_warnings(action="error"):
        rows = table(lake)
    assert [rows[name]["rank"] for name in "ab"] == [2, 1]
    for row in rows.values():
        assert (row["rank_low"], row["rank_high"], row["car_low"], row["car_high"]) == (1, 2, None, None)


def test_rewards_up_to_1e300_are_ranked_and_what_cannot_be_averaged_is_refused(filled):
    publish(filled, REWARDS, {"reward_model": "r", "teacher": "a"}, reward=1e300)
    with warnings.catch_warnings(action="error"):
        rows = table(filled)
        assert [rows[name]["rank"] for name in "ab"] == [1, 2]
        assert rows["a"]["car"] == pytest.approx(1e300 / 7)
        publish(filled, REWARDS, {"reward_model": "r", "teacher": "a"}, reward=1.5e308)
        with pytest.raises(
            RankingError, match="rewards or losses of a are too large to be averaged: CAR is inf"
        ):
            table(filled)


@pytest.mark.parametrize("build", [build_car_table, build_suitability, beta_sweep])
@pytest.mark.parametrize(
    ("reward_map", "cure"),
    [("identity", "'car.reward_map' (now identity) to {kind: sigmoid}, or to"), ("sigmoid", "σ of a score")],
)
def test_a_reward_that_is_not_positive_is_refused_with_a_cure_that_the_study_has_not_tried(
    filled, reward_map, cure, build
):
    publish(filled, REWARDS, {"reward_model": "r", "teacher": "a"}, reward=-800.0)
    with pytest.raises(RankingError, match="the mean reward of 1 teacher is not positive: a") as raised:
        table(filled, reward_map=reward_map, build=build)
    assert cure in str(raised.value)
    assert "{kind: affine" in str(raised.value)
    assert ("{kind: sigmoid}" in str(raised.value)) == (reward_map == "identity")
