"""Plain win rates and their intervals against closed forms, simulated truths and Hunter's MM algorithm."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates, win_rates
from preceptor.evaluation.arena_hard.intervals import UNVARIED, Bootstrap
from tests.evaluation.arena_hard.battles import VERSIONS, frame, styled, swapped

pytestmark = pytest.mark.filterwarnings("error")
FEW = Bootstrap(resamples=20)
games = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([0, 0.5, 1]), st.sampled_from([1, 3])),
    min_size=1,
    max_size=30,
)


def by_mm(battles: pl.DataFrame, rounds: int = 400) -> dict[str, float]:
    """Bradley-Terry strengths by Hunter's MM algorithm (Annals of Statistics 2004), a tie half a win each."""
    own = battles.group_by("model").agg(
        won=(pl.col("outcome") * pl.col("weight")).sum(), played=pl.col("weight").sum()
    )
    models, won, played = (own[name].to_list() for name in ("model", "won", "played"))
    strength, anchor = [1.0] * len(models), 1.0
    for _ in range(rounds):
        shares = [n / (s + anchor) for n, s in zip(played, strength, strict=True)]
        lost = sum(played) - sum(won)
        strength = [w / share for w, share in zip(won, shares, strict=True)]
        anchor = lost / sum(shares)
    return {model: s / (s + anchor) for model, s in zip(models, strength, strict=True)}


@settings(max_examples=60)
@given(games)
def test_a_win_rate_is_the_weighted_mean(rows):
    # With one baseline of strength 0, model m's log-likelihood is W·log p + (N - W)·log(1 - p), of no other
    # parameter: W weights won (a tie half) of N. Its derivative W/p - (N - W)/(1 - p) is 0 at p = W/N.
    found = win_rates(frame(rows), FEW)
    for model, value in found.select("model", "value").iter_rows():
        own = [(outcome, weight) for m, _, outcome, weight in rows if f"m{m}" == model]
        mean = sum(o * w for o, w in own) / sum(w for _, w in own)
        assert value == pytest.approx(mean, abs=1e-12)
    assert found.height == len({row[0] for row in rows})


def test_win_rates_are_those_of_the_mm_algorithm():
    battles = styled([-1.0, 0.0, 1.5], 60)
    found = dict(win_rates(battles, FEW).select("model", "value").iter_rows())
    assert found == pytest.approx(by_mm(battles), abs=1e-6)


@settings(max_examples=40)
@given(games)
def test_swapping_model_and_baseline_turns_win_rates_round(rows):
    battles = frame(rows)
    found, turned = win_rates(battles, FEW), win_rates(swapped(battles), FEW)
    assert_frame_equal(turned.select("model", "value"), found.select("model", value=1 - pl.col("value")))
    bounds = found.select(low=1 - pl.col("high"), high=1 - pl.col("low"))
    assert_frame_equal(turned.select("low", "high"), bounds)


@pytest.mark.parametrize("unit", ["questions", "battles"])
def test_a_game_won_by_far_counts_as_exactly_three(unit):
    battles = styled([-0.5, 1.0], 30)
    split = pl.concat([battles, *[battles.filter(pl.col("weight") == 3)] * 2]).with_columns(weight=1)
    how = Bootstrap(unit, resamples=20)
    assert_frame_equal(win_rates(split, how), win_rates(battles, how), abs_tol=1e-12)
    for version in VERSIONS:
        one, three = (style_controlled_win_rates(rows, version, how) for rows in (battles, split))
        assert_frame_equal(three.win_rates, one.win_rates, abs_tol=1e-9)
        assert_frame_equal(three.coefficients, one.coefficients, abs_tol=1e-9)
    assert win_rates(battles, how)["n_battles"].sum() == battles["weight"].sum()


def test_categories_are_fitted_as_if_each_stood_alone():
    first = styled([-0.5, 1.0], 25, seed=1).with_columns(category=pl.lit("hard_prompt"))
    second = styled([0.8, 0.1], 40, seed=2).with_columns(category=pl.lit("creative_writing"))
    both = pl.concat([first, second])
    assert_frame_equal(win_rates(both, FEW), pl.concat([win_rates(second, FEW), win_rates(first, FEW)]))
    found, *alone = (style_controlled_win_rates(rows, "v2.0", FEW) for rows in (both, second, first))
    assert_frame_equal(found.win_rates, pl.concat([part.win_rates for part in alone]))
    assert_frame_equal(found.coefficients, pl.concat([part.coefficients for part in alone]))


def test_neither_the_order_of_rows_nor_another_run_changes_a_digit():
    battles = styled([-0.5, 1.0], 20)
    for unit in ("questions", "battles"):
        how = Bootstrap(unit, resamples=20)
        found = win_rates(battles, how)
        assert_frame_equal(
            win_rates(battles.sample(fraction=1, shuffle=True, seed=3), how), found, check_exact=True
        )
        assert not win_rates(battles, Bootstrap(unit, 20, seed=1)).equals(found)


def correlated(models: int, questions: int) -> pl.DataFrame:
    """Every "model" is a simulation of its own: two games a question that end alike, true win rate 0.5."""
    won = np.random.default_rng(0).random((models, questions)) < 0.5
    rows = ((m, q, float(won[m, q]), 1) for m in range(models) for q in range(questions) for _ in range(2))
    return frame(rows)


def coverage(battles: pl.DataFrame, unit: str) -> float:
    found = win_rates(battles, Bootstrap(unit, resamples=200))
    return float(((found["low"] <= 0.5) & (found["high"] >= 0.5)).mean())


def test_drawing_questions_covers_where_drawing_battles_is_too_narrow():
    """Two games that always end alike double the variance that the authors' bootstrap sees: its 95 % interval
    reaches 1.96/√2 = 1.39 standard errors and covers 2Φ(1.39) - 1 = 0.83. In 400 simulations a share's
    standard error is 0.011 at 0.95 and 0.019 at 0.83; percentiles of 200 draws cost some 0.01 more.
    """
    battles = correlated(models=400, questions=80)
    assert coverage(battles, "questions") > 0.91
    assert 0.76 < coverage(battles, "battles") < 0.89


@pytest.mark.parametrize("won", [0.0, 1.0])
@pytest.mark.parametrize("version", [None, *VERSIONS])
def test_a_model_that_wins_or_loses_all_has_an_interval_and_a_reason(version, won):
    battles = styled([0.0, 0.5], 50).with_columns(
        outcome=pl.when(pl.col("model") == "m0").then(won).otherwise("outcome")
    )
    row, other = (
        win_rates(battles, FEW)
        if version is None
        else style_controlled_win_rates(battles, version, FEW).win_rates
    ).iter_rows(named=True)
    # v0.1's penalty keeps strengths finite; its win rate is as near as 1/100 with 100 games or more.
    assert row["value"] == (pytest.approx(won, abs=0.01) if version == "v0.1" else won)
    bound = 0.025 ** (1 / 50)  # p with p^50 = 2.5 %
    low, high = (bound, 1.0) if won else (0.0, 1 - bound)
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["reason"].startswith("won 50 of 50 questions" if won else "lost 50 of 50 questions")
    assert other["low"] < other["value"] < other["high"]
    assert other["reason"] is None


def test_nothing_but_ties_has_a_win_rate_and_no_interval():
    (row,) = win_rates(frame([(0, q, 0.5, 1) for q in range(5)]), FEW).iter_rows(named=True)
    assert (row["value"], row["low"], row["high"], row["reason"]) == (0.5, None, None, UNVARIED)


def test_a_model_that_some_resamples_miss_says_so():
    battles = pl.concat(
        [frame([(0, 0, 1.0, 1), (0, 1, 0.0, 1)]), frame((1, q, q % 2 / 1, 1) for q in range(9))]
    )
    row = win_rates(battles, Bootstrap(resamples=50)).row(0, named=True)
    assert "of 50 resamples have no such number and are left out" in row["reason"]


def test_no_battles_have_no_win_rates():
    battles = styled([0.0], 1).clear()
    assert win_rates(battles, FEW).height == 0
    assert style_controlled_win_rates(battles, "v2.0", FEW).coefficients.height == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"outcome": pl.lit(0.7)}, "'outcome' other than 0, 0.5 and 1"),
        ({"outcome": pl.lit(math.nan)}, "'outcome' other than 0, 0.5 and 1"),
        ({"outcome": pl.lit(None, pl.Float64)}, "nulls in outcome"),
        ({"weight": pl.lit(0)}, "'weight' .*whole number from 1"),
        ({"weight": pl.lit(1.5)}, "'weight' .*whole number from 1"),
        ({"bold": pl.lit(-1)}, "style counts must be 0 or more and finite"),
    ],
)
def test_battles_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        style_controlled_win_rates(styled([0.0], 3).with_columns(**wrong), "v2.0", FEW)


def test_a_column_that_lacks_is_named():
    with pytest.raises(ValueError, match="lack the columns weight, bold: add them"):
        style_controlled_win_rates(styled([0.0], 3).drop("weight", "bold"), "v2.0", FEW)


@pytest.mark.parametrize("settings", [{"resamples": 0}, {"confidence": 1.0}])
def test_a_bootstrap_without_an_interval_is_refused(settings):
    with pytest.raises(ValueError, match="resamples from 1 and a confidence between 0 and 1"):
        Bootstrap(**settings)
