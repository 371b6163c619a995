"""Style-controlled win rates against scikit-learn's fit of the authors' design, and simulated truths."""

import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression

from preceptor.evaluation.arena_hard.fit import (
    CONFOUNDED,
    CONSTANT,
    SEPARATED,
    UNCONTESTED,
    style_controlled_win_rates,
    win_rates,
)
from preceptor.evaluation.arena_hard.intervals import Bootstrap
from tests.evaluation.arena_hard.battles import BASELINE, STYLE, VERSIONS, raw_features, styled, swapped

pytestmark = pytest.mark.filterwarnings("error")
FEW = Bootstrap(resamples=20)


def by_scikit_learn(battles: pl.DataFrame, version: str) -> tuple[list[float], list[float]]:
    """Win rates and coefficients by the authors' design: every battle is two rows, the baseline a column."""
    rows = [row for row in battles.iter_rows(named=True) for _ in range(row["weight"])]
    raw = np.array([raw_features(row, version) for row in rows])
    z = (raw - raw.mean(axis=0)) / raw.std(axis=0, ddof=0 if version == "v0.1" else 1)
    models = sorted({row["model"] for row in rows})
    strengths = np.array([[row["model"] == model for model in models] + [-1.0] for row in rows])
    x = np.vstack([np.hstack([strengths * math.log(10), z])] * 2)
    y = [row["outcome"] > 0 for row in rows] + [row["outcome"] == 1 for row in rows]  # a tie: won and lost
    penalty = 1.0 if version == "v0.1" else np.inf
    fit = LogisticRegression(C=penalty, fit_intercept=False, solver="lbfgs", tol=1e-10, max_iter=10_000).fit(
        x, y
    )
    *logits, anchor = fit.coef_[0][: len(models) + 1] * math.log(10)
    return [1 / (1 + math.exp(anchor - logit)) for logit in logits], fit.coef_[0][len(models) + 1 :].tolist()


@pytest.mark.parametrize("version", VERSIONS)
def test_style_controlled_fits_are_those_of_the_authors_design_in_scikit_learn(version):
    battles = styled([-1.0, 0.3, 1.0], 40, effects=[1.0, -0.5, 0.5, 0.0])
    found = style_controlled_win_rates(battles, version, FEW)
    values, coefficients = by_scikit_learn(battles, version)
    assert found.win_rates["value"].to_list() == pytest.approx(values, abs=1e-6)
    assert found.coefficients["coefficient"].to_list() == pytest.approx(coefficients, abs=1e-6)
    assert found.coefficients["feature"].to_list() == STYLE


def standard_errors(x: np.ndarray, chance: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Of a weighted fit to means of two games, of variance p·(1 - p) / 2, at the truth: H⁻¹·M·H⁻¹."""
    information = chance * (1 - chance)
    inverse = np.linalg.inv((x.T * weight * information) @ x)
    return np.sqrt(np.diag(inverse @ (x.T * weight**2 * information / 2) @ x @ inverse))


def test_a_fit_recovers_simulated_strengths_and_style_effects_within_4_standard_errors():
    strengths, effects = np.array([-1.0, -0.3, 0.4, 1.0]), np.array([1.0, -0.6, 0.3, 0.0])
    battles = styled(strengths.tolist(), 1000, effects.tolist())
    raw = np.array([raw_features(row, "v0.1") for row in battles.iter_rows(named=True)])
    weight = battles["weight"].to_numpy()
    mean = weight @ raw / weight.sum()
    deviation = np.sqrt(weight @ (raw - mean) ** 2 / weight.sum())
    own = (battles["model"].to_numpy()[:, None] == ["m0", "m1", "m2", "m3"]).astype(float)
    # Features are centred, so that a strength is the one at the mean style.
    truth = np.concatenate([strengths + mean @ effects, effects * deviation])
    x = np.hstack([own, (raw - mean) / deviation])
    errors = standard_errors(x, 1 / (1 + np.exp(-x @ truth)), weight)
    found = style_controlled_win_rates(battles, "v0.1", FEW)
    value = found.win_rates["value"].to_numpy()
    fitted = np.concatenate([np.log(value / (1 - value)), found.coefficients["coefficient"].to_numpy()])
    assert errors.max() < 0.06  # so that the tolerance is a narrow one
    assert (np.abs(fitted - truth) < 4 * errors).all()


def test_style_control_takes_away_what_length_bought():
    """Two models of the baseline's strength, one always longer than it, one shorter.

    With an effect of 2 and a feature of some ±0.25 their chances are σ(±0.5), 0.62 and 0.38, each to 0.009 by
    2,000 games of variance 1/8 with weights 1 and 3. At any one difference of length they are alike.
    """
    battles = styled([0.0, 0.0], 2000, effects=[2.0, 0, 0, 0])
    longer = pl.col("tokens") > pl.col("baseline_tokens")
    battles = battles.filter(pl.when(pl.col("model") == "m0").then(longer).otherwise(~longer))
    (first, second), (fair, other) = (
        found["value"].to_list()
        for found in (win_rates(battles, FEW), style_controlled_win_rates(battles, "v0.1", FEW).win_rates)
    )
    assert first - second > 0.2
    assert abs(fair - other) < 0.08


@pytest.mark.parametrize("version", VERSIONS)
def test_swapping_turns_style_controlled_win_rates_round_and_keeps_coefficients(version):
    battles = styled([-0.5, 1.0], 30, effects=[1.0, 0, 0, 0])
    found = style_controlled_win_rates(battles, version, FEW)
    turned = style_controlled_win_rates(swapped(battles), version, FEW)
    numbers = found.win_rates.select(
        value=1 - pl.col("value"), low=1 - pl.col("high"), high=1 - pl.col("low")
    )
    assert_frame_equal(turned.win_rates.select("value", "low", "high"), numbers, abs_tol=1e-9)
    assert_frame_equal(turned.coefficients, found.coefficients, abs_tol=1e-9)


def test_a_model_that_wins_all_does_not_touch_what_the_others_tell_of_style():
    battles = styled([0.0, 0.5], 50, effects=[1.0, 0, 0, 0])
    champion = styled([0.0], 50, seed=9).with_columns(model=pl.lit("champion"), outcome=1.0)
    per_unit = []
    for rows in (battles, pl.concat([battles, champion])):
        features = [
            raw_features(row, "v2.0") for row in rows.iter_rows(named=True) for _ in range(row["weight"])
        ]
        found = style_controlled_win_rates(rows, "v2.0", FEW).coefficients["coefficient"].to_numpy()
        per_unit.append(found / np.std(features, axis=0, ddof=1))  # it does change the deviations
    assert per_unit[1] == pytest.approx(per_unit[0], rel=1e-6)


def test_where_all_models_win_all_no_coefficient_is_told():
    battles = styled([0.0, 0.5], 10).with_columns(outcome=1.0)
    found = style_controlled_win_rates(battles, "v2.0", FEW)
    assert found.win_rates["value"].to_list() == [1, 1]
    assert found.coefficients["reason"].to_list() == [UNCONTESTED] * 4


def test_style_that_tells_wins_from_losses_is_a_reason_and_no_number():
    battles = styled([0.0, 0.5], 40).filter(pl.col("tokens") != pl.col("baseline_tokens"))
    battles = battles.with_columns(outcome=(pl.col("tokens") > pl.col("baseline_tokens")).cast(pl.Float64))
    found = style_controlled_win_rates(battles, "v2.0", FEW)
    assert found.win_rates["value"].to_list() == [None, None]
    assert found.win_rates["reason"].to_list() == [SEPARATED] * 2
    assert found.coefficients["reason"].to_list() == [SEPARATED] * 4
    penalised = style_controlled_win_rates(battles, "v0.1", FEW)  # the authors' penalty keeps it finite
    assert penalised.coefficients["coefficient"][0] > 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_feature_that_does_not_vary_is_dropped_and_named(version):
    battles = styled([0.0, 0.5], 40).with_columns(headers=0, baseline_headers=0)
    found = style_controlled_win_rates(battles, version, FEW).coefficients
    assert found["feature"].to_list() == STYLE
    assert found["reason"].to_list() == [None, CONSTANT, None, None]
    assert found["coefficient"].is_null().to_list() == [False, True, False, False]


def test_a_feature_that_tells_no_more_than_which_model_it_is_is_dropped():
    longer = pl.when(pl.col("model") == "m0").then(200).otherwise(50)
    battles = styled([0.0, 0.5], 40).with_columns(longer.alias("tokens"), baseline_tokens=100)
    found = style_controlled_win_rates(battles, "v0.1", FEW).coefficients
    assert found["reason"].to_list() == [CONFOUNDED, None, None, None]


def test_without_any_feature_style_control_changes_nothing():
    battles = styled([0.0, 0.5], 40).with_columns(pl.lit(7).alias(name) for name in STYLE + BASELINE)
    found = style_controlled_win_rates(battles, "v2.0", FEW).win_rates
    assert_frame_equal(found, win_rates(battles, FEW), abs_tol=1e-9)
