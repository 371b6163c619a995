"""The metrics against an independent computation, and one that is added in memory and then is everywhere."""

import math
import random
from statistics import mean

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ranking import ranking_text
from preceptor.current import current_fingerprints
from preceptor.lake.schemas import BASE_LOSSES, CAR_TABLE, RAW_INSTRUCTIONS, RESPONSES, REWARDS, SUITABILITY
from preceptor.report.page import build_report
from preceptor.report.predicted import predicted_actual, rank_correlations
from preceptor.study.schema import RewardMap
from preceptor.suitability.metrics import METRICS, Metric, RowColumn, row_columns
from preceptor.suitability.metrics import mean as mean_of
from preceptor.suitability.reward_map import reward_expression
from preceptor.suitability.table import beta_sweep, build_car_table, build_suitability, without_a_value
from tests.report.lakes import FACTS, full_study, full_warehouse, rows_of_responses, stored

ROW_TABLES = (RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES)
SUMS = st.fixed_dictionaries(
    {
        "nll_sum": st.floats(1e-3, 1e3),
        "tokens": st.integers(1, 400),
        "response_tokens": st.integers(1, 500),
        "rank100_sum": st.floats(1, 1e4),
        "unconditional_nll_sum": st.floats(1e-3, 1e3),
        "unconditional_tokens": st.integers(1, 400),
    }
)
# Each from the paper's words, a row at a time, in plain floats.
BY_HAND = {
    "car": lambda rows: mean(r["reward"] for r in rows) / (1 + 3 * mean(loss(r) for r in rows)),
    "car_product": lambda rows: mean(r["reward"] for r in rows) * (1 + 3 * mean(loss(r) for r in rows)),
    "mean_reward": lambda rows: mean(r["reward"] for r in rows),
    "mean_loss": lambda rows: mean(loss(r) for r in rows),
    "perplexity": lambda rows: mean(math.exp(loss(r)) for r in rows),
    "ifd": lambda rows: mean(loss(r) / unconditional(r) for r in rows),
    "ifd_of_perplexities": lambda rows: mean(math.exp(loss(r)) / math.exp(unconditional(r)) for r in rows),
    # Clipped ranks and surprisals are averaged over a row's tokens, then over rows, then divided (A.8).
    "rank_surprisal_ratio": lambda rows: (
        mean(r["rank100_sum"] / r["tokens"] for r in rows) / mean(loss(r) for r in rows)
    ),
    "response_tokens": lambda rows: mean(r["response_tokens"] for r in rows),
}


def loss(row):
    return row["nll_sum"] / row["tokens"]


def unconditional(row):
    return row["unconditional_nll_sum"] / row["unconditional_tokens"]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The realistic study: its lake's session, and its rows as dictionaries."""
    study = full_study()
    rows = rows_of_responses(study, random.Random(7))
    dice = random.Random(1)
    for row in rows[3]:
        tokens = row.get("tokens")
        if tokens is None:  # it failed
            continue
        row |= {"response_tokens": tokens + dice.randint(0, 3), "rank100_sum": tokens * dice.uniform(1, 30)}
        row |= {"unconditional_tokens": tokens, "unconditional_nll_sum": tokens * dice.uniform(1, 4)}
    session = stored(tmp_path_factory.mktemp("lake"), zip(ROW_TABLES, rows, strict=True))
    return study, session, rows


def test_every_value_is_that_of_a_computation_by_hand(case):
    study, session, rows = case
    study = study.model_copy(update={"car": study.car.model_copy(update={"rows": "available"})})
    rewards = {row["response_id"]: row["reward"] for row in rows[2] if row["reward"] is not None}
    found = build_suitability(session, study, current_fingerprints(study))
    assert set(found["metric"]) == set(METRICS) == set(BY_HAND)
    for base in study.bases:
        for teacher in study.teachers:
            both = [
                row | {"reward": rewards[row["response_id"]]}
                for row in rows[3]
                if (row["base"], row["teacher"]) == (base.name, teacher.name)
                and row["response_id"] in rewards
                and row.get("error") is None
            ]
            of_teacher = found.filter(base=base.name, teacher=teacher.name)
            if not both:
                assert of_teacher["value"].null_count() == of_teacher.height == len(METRICS)
                assert of_teacher["missing"].null_count() == 0
            for metric, value in of_teacher.select("metric", "value").iter_rows() if both else ():
                assert value == pytest.approx(BY_HAND[metric](both), rel=1e-12), metric


def test_the_car_table_is_the_view_of_car_and_the_sweep_goes_through_it(case):
    study, session, _ = case
    current = current_fingerprints(study)
    table, sweep = build_car_table(session, study, current), beta_sweep(session, study, current)
    cars = build_suitability(session, study, current).filter(metric="car")
    columns = {"car": "value", "car_low": "low", "car_high": "high"}
    columns |= {name: name for name in ("rank", "rank_low", "rank_high")}
    same = {name: name for name in columns}
    for found, ours in ((cars, columns), (sweep.filter(beta=study.car.beta), same)):
        both = table.join(found, on=["base", "teacher"], suffix="_other").filter(pl.col("car").is_not_null())
        assert both.height == 16
        for column, theirs in ours.items():
            name = f"{theirs}_other" if f"{theirs}_other" in both.columns else theirs
            assert both[column].to_list() == both[name].to_list(), column
    assert sorted(set(sweep["beta"])) == sorted({*study.car.sweep, study.car.beta})


def test_lower_is_first_where_lower_is_better(case):
    study, session, _ = case
    found = build_suitability(session, study, current_fingerprints(study)).drop_nulls("value")
    for (_, _, better), rows in found.group_by("base", "metric", "better"):
        ordered = rows.sort("value", descending=better == "higher")
        assert ordered["rank"].is_sorted()
        assert (rows["rank_low"] <= rows["rank"]).all() and (rows["rank"] <= rows["rank_high"]).all()


def test_a_base_without_the_unconditional_pass_says_so_and_ranks_by_the_rest(case):
    study, session, rows = case
    poorer = [row | {"unconditional_nll_sum": None} for row in rows[3]]
    session = stored(f"{session.lake.home}-poorer", zip(ROW_TABLES, (*rows[:3], poorer), strict=True))
    found = build_suitability(session, study, current_fingerprints(study))
    none = found.filter(pl.col("value").is_null().all().over("metric"))
    # Not the reason of the teacher without rewards, which comes first in the table.
    assert without_a_value(found)["missing"].str.contains("unconditional_nll_sum").all()
    assert set(none["metric"]) == {"ifd", "ifd_of_perplexities"}
    assert none.filter(base=study.bases[0].name)["missing"].str.contains("unconditional_nll_sum").any()
    assert found.filter(metric="car")["rank"].count() == 16


@given(st.lists(SUMS, min_size=1, max_size=20), st.lists(st.floats(-30, 30), min_size=1, max_size=20))
def test_duckdb_and_polars_give_one_value(rows, rewards):
    frame = pl.DataFrame(rows)
    maps = [RewardMap(), RewardMap(kind="sigmoid"), RewardMap(kind="affine", shift=0.1, scale=1e-5)]
    pairs = [(frame, column.sql) for column in row_columns().values() if column.needs_losses]
    pairs += [(pl.DataFrame({"reward": rewards}), reward_expression(reward_map)) for reward_map in maps]
    for held, sql in pairs:
        theirs = duckdb.sql(f"SELECT {sql} AS value FROM held").pl()["value"].to_numpy()
        np.testing.assert_allclose(held.select(value=pl.sql_expr(sql))["value"], theirs, rtol=4e-16)


def test_a_metric_that_is_added_appears_everywhere(tmp_path, monkeypatch):
    """One entry: its values stand in the table, the terminal and the page, and they predict."""
    column = RowColumn("tokens_scored", "tokens * 1e0", at_most=20)
    added = Metric("mean_tokens", "scored tokens", "lower", (column,), mean_of, "made up", column)
    monkeypatch.setitem(METRICS, added.name, added)
    study = full_study()
    warehouse = full_warehouse(tmp_path, study)
    rows = warehouse.rows(SUITABILITY.name)
    assert rows.filter(metric="mean_tokens")["rank"].count() == 16
    assert "first by scored tokens" in ranking_text(warehouse.rows(CAR_TABLE.name), rows)
    found = rank_correlations(predicted_actual(warehouse, study), rows, study.car.form)
    assert "scored tokens" in found["predictor"].to_list()
    page = build_report(study, warehouse, FACTS)
    assert page.count('<th class="n">scored tokens</th>') == len(study.bases)
