"""Rows made under settings that the study no longer has do not count, and are named as missing."""

from pathlib import Path

import polars as pl
import pytest

from preceptor.car.table import build_car_table
from preceptor.current import ROW_TABLES, Current
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Study

SQL = Path(__file__).parents[2] / "sql"
COUNT = 20


def publish(lake, table, partition, fingerprint="f", count=COUNT, **columns):
    teacher = partition.get("teacher", "")
    rows = pl.DataFrame({"instruction_id": [f"i{n}" for n in range(count)]})
    rows = rows.with_columns(sample=0, response_id=pl.concat_str(pl.lit(teacher), "instruction_id"))
    rows = rows.with_columns(**{name: pl.lit(value) for name, value in columns.items()})
    lacking = [pl.lit(None).alias(name) for name in table.row_schema if name not in rows.columns]
    lake.publish(table, table.conform(rows.with_columns(lacking)), partition, fingerprint)


@pytest.fixture
def filled(lake):
    publish(lake, RAW_INSTRUCTIONS, {})
    for number, teacher in enumerate("ab"):
        publish(lake, RESPONSES, {"teacher": teacher})
        publish(lake, REWARDS, {"reward_model": "r", "teacher": teacher}, reward=5.0 + number)
        losses = {"nll_sum": 20.0, "tokens": 10, "response_tokens": 20}
        publish(lake, BASE_LOSSES, {"base": "x", "teacher": teacher}, **losses)
    return lake


def table(lake, losses="f", **responses) -> dict[str, dict]:
    study = Study.model_validate(
        {
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
    return {row["teacher"]: row for row in build_car_table(warehouse, study, current).to_dicts()}


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
