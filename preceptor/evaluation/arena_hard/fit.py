"""Win rates against Arena-Hard's baseline, plain and style-controlled, with bootstrap intervals.

A row of `battles` is a game: `model`, `item_id`, `category`, `outcome` (1, 0.5 or 0, the model's) and
`weight`, the number of battles that the game counts as. Style control also reads `tokens`, `headers`, `lists`
and `bold` of the model's answer, and `baseline_tokens` and so on. Every category is fitted by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.evaluation.arena_hard import Version
from preceptor.evaluation.arena_hard.games import (
    BASELINE_FEATURES,
    COLUMNS,
    STYLE_COLUMNS,
    Games,
    games_by_category,
    rates,
)
from preceptor.evaluation.arena_hard.intervals import SAME, Bootstrap, decided_interval, interval, resampled
from preceptor.evaluation.arena_hard.style import FEATURES, standardised, style_features
from preceptor.statistics.logistic import maximum_likelihood

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RATES = {
    "model": pl.String,
    "category": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_battles": pl.Int64,  # A>>B counts as three
    "n_items": pl.Int64,
    "reason": pl.String,
}
COEFFICIENTS = {
    "category": pl.String,
    "feature": pl.String,
    "coefficient": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "reason": pl.String,
}
BY_QUESTION = Bootstrap()
SEPARATED = "style tells wins from losses without fail: no finite coefficients fit best"
CONSTANT = "dropped: it is the same in all battles"
CONFOUNDED = "dropped: the models and the features before it explain it wholly"
UNCONTESTED = "dropped: every model won all or lost all, which shows nothing of style"


@dataclass(frozen=True)
class StyleControlled:
    """Win rates (RATES), and log-odds per standard deviation of each style feature (COEFFICIENTS)."""

    win_rates: pl.DataFrame
    coefficients: pl.DataFrame


@dataclass(frozen=True)
class Fit:
    """One fit: each model's win rate, and the coefficients (strengths of `fitted` models, then features).

    `design` and `penalty` are the fit's inputs, for the games in `used`. NaN means that no fit is finite.
    """

    rates: Floats
    coefficients: Floats
    fitted: Ints
    used: NDArray[np.bool_]
    design: Floats
    penalty: Floats

    def numbers(self) -> Floats:
        """The win rates, then the features' coefficients."""
        return np.concatenate([self.rates, self.coefficients[len(self.fitted) :]])

    def expected(self) -> Floats:
        """The expected outcome of each used game."""
        from scipy.special import expit

        expected: Floats = expit(self.design @ self.coefficients)
        return expected


def win_rates(battles: pl.DataFrame, bootstrap: Bootstrap = BY_QUESTION) -> pl.DataFrame:
    """Each model's share of battles won (a tie counts half) by category: a frame of RATES.

    v0.1 fits a Bradley-Terry model, v2.0 takes means. Against one baseline, both give the same number.
    Raises ValueError for battles with a missing column or an invalid value.
    """
    frames = [pl.DataFrame(schema=RATES)]
    for games in games_by_category(battles, COLUMNS):
        draws = np.array([rates(games, weight) for weight in resampled(games, bootstrap)])
        frames.append(_rate_rows(games, rates(games, games.weight), draws, bootstrap))
    return pl.concat(frames)


def style_controlled_win_rates(
    battles: pl.DataFrame, version: Version, bootstrap: Bootstrap = BY_QUESTION
) -> StyleControlled:
    """σ(strength - the baseline's) of the version's Bradley-Terry fit, whose models share style coefficients.

    Features are centred, as in the authors' code, so a win rate holds at the category's mean difference of
    style, not at a difference of zero. v0.1 has the authors' penalty ½·|c|² (scikit-learn's default), v2.0
    none. The value is the fit to all battles, while v2.0's authors take the median of their resamples. Raises
    ValueError for battles with a missing column or an invalid value.
    """
    frames, coefficients = [pl.DataFrame(schema=RATES)], [pl.DataFrame(schema=COEFFICIENTS)]
    for games in games_by_category(battles, (*COLUMNS, *STYLE_COLUMNS)):
        features, dropped = _features(games, version)
        found = _fit(games, version, features, games.weight).numbers()
        draws = np.array([_fit(games, version, features, w).numbers() for w in resampled(games, bootstrap)])
        models = len(games.models)
        frames.append(_rate_rows(games, found[:models], draws[:, :models], bootstrap))
        coefficients.append(_coefficient_rows(games, found[models:], draws[:, models:], dropped, bootstrap))
    return StyleControlled(pl.concat(frames), pl.concat(coefficients))


def fits(battles: pl.DataFrame, version: Version) -> Iterator[tuple[Games, Fit]]:
    """Each category's games with their style-controlled fit."""
    for games in games_by_category(battles, (*COLUMNS, *STYLE_COLUMNS)):
        features, _ = _features(games, version)
        yield games, _fit(games, version, features, games.weight)


def _features(games: Games, version: Version) -> tuple[Floats, dict[str, str]]:
    """The features of the fit (games × kept features), and the reasons for dropped ones."""
    raw = style_features(version, *(_counts(games, names) for names in (FEATURES, BASELINE_FEATURES)))
    dropped = _dropped(games, version, raw)
    kept = [number for number, feature in enumerate(FEATURES) if feature not in dropped]
    return standardised(version, raw[:, kept], games.weight), dropped


def _counts(games: Games, names: tuple[str, ...]) -> Floats:
    counts: Floats = games.frame.select(names).to_numpy().astype(np.float64)
    return counts


def _fit(games: Games, version: Version, features: Floats, weight: Floats) -> Fit:
    """The win rates and coefficients, NaN where no finite coefficients fit best."""
    from scipy.special import expit

    found = rates(games, weight)
    fitted = np.flatnonzero(_finite(version, found))
    used = np.isin(games.model, fitted) & (weight > 0)
    design = np.hstack([games.model[used, None] == fitted, features[used]])
    penalty = _penalty(version, len(fitted), features.shape[1])
    logits = maximum_likelihood(design, games.outcome[used], weight[used], penalty)
    found[fitted] = expit(logits[: len(fitted)])
    return Fit(found, logits, fitted, used, design, penalty)


def _finite(version: Version, found: Floats) -> NDArray[np.bool_]:
    """Which models have a finite strength. Without penalty, winning or losing all games makes it infinite."""
    finite: NDArray[np.bool_] = ~np.isnan(found) if version == "v0.1" else (found > 0) & (found < 1)
    return finite


def _penalty(version: Version, models: int, features: int) -> Floats:
    """v0.1's penalty ½·|c|² for strengths minus the baseline's, halved because v0.1 doubles all battles.

    Its strengths s are logits / log(10), the baseline's b among them. For differences d = s - b the best b is
    -Σd / (models + 1), which leaves |d|² - (Σd)² / (models + 1).
    """
    penalty = np.zeros((models + features, models + features))
    if version == "v0.1":
        penalty[:models, :models] = (np.eye(models) - 1 / (models + 1)) / np.log(10) ** 2
        penalty[models:, models:] = np.eye(features)
    return penalty / 2


def _dropped(games: Games, version: Version, raw: Floats) -> dict[str, str]:
    """The features without an identifiable coefficient, with the reasons."""
    used = _finite(version, rates(games, games.weight))[games.model]
    if not used.any():
        return dict.fromkeys(FEATURES, UNCONTESTED)
    raw, model = raw[used], np.unique(games.model[used], return_inverse=True)[1]
    means = np.stack([np.bincount(model, column) for column in raw.T], axis=1) / np.bincount(model)[:, None]
    within = raw - means[model]
    dropped: dict[str, str] = {}
    kept: list[int] = []
    for number, feature in enumerate(FEATURES):
        if np.linalg.matrix_rank(within[:, [*kept, number]], tol=SAME * len(raw) ** 0.5) > len(kept):
            kept.append(number)
        else:
            dropped[feature] = CONSTANT if np.ptp(raw[:, number]) < SAME else CONFOUNDED
    return dropped


def _rate_rows(games: Games, values: Floats, draws: Floats, bootstrap: Bootstrap) -> pl.DataFrame:
    rows = []
    for number, model in enumerate(games.models):
        own = games.model == number
        n_battles, n_items = int(games.weight[own].sum()), len(np.unique(games.item[own]))
        row = {"model": model, "category": games.category, "n_battles": n_battles, "n_items": n_items}
        row |= _estimate("value", values[number], draws[:, number], bootstrap)
        outcomes = set(games.outcome[own])
        if outcomes == {1.0} or outcomes == {0.0}:
            units = n_items if bootstrap.unit == "questions" else n_battles
            row |= decided_interval(float(values[number]), outcomes == {1.0}, units, bootstrap)
        rows.append(row)
    return pl.DataFrame(rows, schema=RATES)


def _coefficient_rows(
    games: Games, values: Floats, draws: Floats, dropped: dict[str, str], bootstrap: Bootstrap
) -> pl.DataFrame:
    rows = [{"category": games.category, "feature": name, "reason": why} for name, why in dropped.items()]
    kept = [feature for feature in FEATURES if feature not in dropped]
    for feature, value, drawn in zip(kept, values, draws.T, strict=True):
        found = _estimate("coefficient", value, drawn, bootstrap)
        rows.append({"category": games.category, "feature": feature, **found})
    rows.sort(key=lambda row: FEATURES.index(row["feature"]))
    return pl.DataFrame(rows, schema=COEFFICIENTS)


def _estimate(name: str, value: float, draws: Floats, bootstrap: Bootstrap) -> dict[str, Any]:
    if np.isnan(value):
        return {name: None, "low": None, "high": None, "reason": SEPARATED}
    return {name: value, **interval(draws, bootstrap.confidence)}
