"""AlpacaEval's length-controlled win rate (arXiv 2404.04475), computed by alpaca-eval's own functions.

alpaca-eval's own entry point downloads two files on every call, even for formulas that use neither. If the
files are available (difficulty.py), its full formula is fitted. Without them, and for instructions other than
its 805, the minimal formula is reported beside the win rate. It is biased, so it is never the main metric.

Folds depend on the order of the rows. Use the order of the benchmark's file, as alpaca-eval does.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from preceptor.evaluation.pairwise.difficulty import Difficulty
from preceptor.statistics.estimates import NORMAL_95, NOTHING, Estimate
from preceptor.statistics.proportions import unvaried

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MINIMAL, FULL = "length_controlled_minimal", "length_controlled_v1"
METRICS = {MINIMAL: "minimal_lc_win_rate", FULL: "lc_win_rate"}
EPSILON = 1e-15
LEAST_SPREAD = 0.05  # of the length feature, which runs from -1 to 1
METHODS = {
    MINIMAL: (
        "alpaca-eval's length-controlled GLM, minimal formula np.tanh(std_delta_len) +"
        " not_gamed_baseline.astype(float) - 1 (without instruction difficulty and gamed baselines), at equal"
        " lengths; biased: its L1 penalty pulls towards 50 %, often onto it (with 300 items and a true 45 %"
        " two fits of five are exactly 50 %), of which the interval knows nothing, and it ordered 53 models"
        " worse than the plain win rate did (Spearman's correlation with the published length-controlled win"
        " rate .930 against .959): no figure to rank by; interval: 1.96 robust (Huber-White) standard errors"
        " of the logit"
    ),
    FULL: (
        "alpaca-eval's length_controlled_v1 (instruction difficulty and gamed baselines, as published), at"
        " equal lengths, each instruction with its own difficulty (alpaca-eval numbers the rows that there"
        " are); interval: 1.96 standard errors by the delta method, robust (Huber-White)"
    ),
}


@dataclass(frozen=True)
class _Design:
    """The fitted rows with their label `preference`, their weights, and the same rows at equal lengths."""

    fitted: Any
    weights: Any
    asked: Any


def formula(difficulty: Difficulty | None) -> str:
    """The name of the formula that is fitted: a key of METRICS, METHODS and alpaca-eval's own."""
    return MINIMAL if difficulty is None else FULL


def length_controlled(compared: pl.DataFrame, difficulty: Difficulty | None = None) -> Estimate:
    """The mean probability of winning at equal lengths. Δ = characters of the reference - the response's.

    `compared` has the columns `item_id`, `outcome` (0 to 1), `characters` and `reference_characters`, with
    rows in the order of the benchmark's file. Without difficulty, P(win) = σ(θ·tanh(Δ/sd(Δ)) + ψ) is fitted,
    and the result is σ(ψ). With difficulty, a term for each instruction is added, and the result is the mean
    over instructions. alpaca-eval's lc_standard_error is the spread of difficulty, not a sampling error. The
    interval here is valid for fractional outcomes instead (Papke and Wooldridge, 1996).
    """
    found = _fitted(compared, difficulty)
    if isinstance(found, Estimate):
        return found
    return _at_equal_lengths(*found)


def length_controlled_values(compared: pl.DataFrame, difficulty: Difficulty) -> "Floats | str":
    """A value for each row, in order, whose mean is that of `length_controlled`; or the error.

    Each value is the row's P(win) at equal lengths, plus n times its influence on the mean through the
    coefficients (a row of Huber's sandwich). The gamed baselines are the same for every model, so they do not
    change differences.
    """
    import numpy as np

    found = _fitted(compared, difficulty)
    if isinstance(found, Estimate):
        return found.error or np.full(compared.height, found.value)
    model, design = found
    shares, slope = _shares_and_slope(model, design)
    features, residuals, bread = _sandwich(model, design)
    own = slice(len(features) - compared.height, None)  # after the gamed baselines' rows
    influence = (features * residuals[:, None])[own] @ bread @ slope
    values: Floats = shares + len(shares) * (influence - influence.mean())
    return values


def _fitted(compared: pl.DataFrame, difficulty: Difficulty | None) -> tuple[Any, _Design] | Estimate:
    """The fitted model and its design; or an estimate without a fit where none is possible."""
    from alpaca_eval.metrics.glm_winrate import GLM_INFO, fit_LogisticRegressionCV

    settings = GLM_INFO[formula(difficulty)]["kwargs"]
    delta = (compared["reference_characters"] - compared["characters"]).to_numpy().astype(float)
    if fault := _unfit(delta, settings["n_splits"]):
        return Estimate(error=fault)
    if compared["outcome"].n_unique() == 1:  # a fit would have a standard error of 0
        return unvaried(compared["outcome"][0], compared.height)
    design = _design(compared, delta, difficulty)
    with warnings.catch_warnings():
        # alpaca-eval uses an interface that scikit-learn 1.10 removes; pyproject.toml requires an older one.
        # A fit that did not converge has a wide interval.
        warnings.simplefilter("ignore")
        model = fit_LogisticRegressionCV(
            design.fitted, "preference", sample_weight=design.weights, **settings
        )
    return model, design


def _design(compared: pl.DataFrame, delta: Any, difficulty: Difficulty | None) -> _Design:
    """The design as in alpaca-eval. The gamed baselines' rows together weigh a fifth of the model's rows."""
    import pandas as pd
    from alpaca_eval.metrics.glm_winrate import GLM_INFO, make_dmatrix_for_model

    settings = GLM_INFO[formula(difficulty)]
    # As in alpaca-eval's log loss: folds with only 0 or only 1 would lack a class and break the fit.
    outcomes = compared["outcome"].clip(EPSILON, 1 - EPSILON).to_numpy()
    features = {"std_delta_len": delta / delta.std(ddof=1), "not_gamed_baseline": True}
    own = pd.DataFrame({"preference": outcomes, **features})
    weights = None
    rows = own
    if difficulty is not None:
        gamed = difficulty.gamed()
        by_number = gamed.drop_duplicates("index").set_index("index")["instruction_difficulty"]
        own["instruction_difficulty"] = [by_number[difficulty.number[item]] for item in compared["item_id"]]
        rows = pd.concat([gamed, own], axis=0, ignore_index=True)
        shared = settings["regularize_to_baseline_lambda"] / 2  # two gamed baselines
        weights = rows["not_gamed_baseline"].map({True: 1.0, False: shared}).astype(float)
    asked = own.assign(std_delta_len=0.0)
    return _Design(*_split(make_dmatrix_for_model(rows, asked, settings["formula"]), weights))


def _split(matrices: tuple[Any, Any], weights: Any) -> tuple[Any, Any, Any]:
    """Keep only rows with a label, because alpaca-eval's gamed baselines lack a few."""
    fitted, asked = matrices
    known = fitted["preference"].notna()
    return fitted[known], None if weights is None else weights[known], asked


def _unfit(delta: Any, folds: int) -> str | None:
    import numpy as np

    if len(delta) == 0:
        return NOTHING
    if len(delta) < folds:
        return f"{len(delta)} items are too few for the fit's {folds} folds"
    if len(set(delta)) == 1 or np.tanh(delta / delta.std(ddof=1)).std() < LEAST_SPREAD:
        return (
            "the responses differ from the reference by about the same length everywhere: what equal lengths"
            " would change cannot be told"
        )
    return None


def _at_equal_lengths(model: Any, design: _Design) -> Estimate:
    """The mean of σ over the rows at equal lengths, with 1.96 standard errors of its logit."""
    import numpy as np

    shares, slope = _shares_and_slope(model, design)
    value = float(shares.mean())
    if value in (0.0, 1.0):  # if length separates all outcomes, the logit is infinite
        return unvaried(value, len(shares))
    # The gradient of the mean's logit by the coefficients; for the minimal formula this is ψ's own row.
    margin = NORMAL_95 * _standard_error(model, design, slope / (value * (1 - value)))
    logit = np.log(value / (1 - value))
    low, high = (0.5 * (1 + np.tanh(end / 2)) for end in (logit - margin, logit + margin))
    return Estimate(value, float(low), float(high))


def _shares_and_slope(model: Any, design: _Design) -> tuple[Any, Any]:
    """P(win) of each row at equal lengths, and the gradient of their mean by the coefficients."""
    import numpy as np

    x = design.asked.to_numpy()
    shares = 0.5 * (1 + np.tanh(x @ model.coef_[0] / 2))
    return shares, ((shares * (1 - shares))[:, None] * x).mean(axis=0)


def _sandwich(model: Any, design: _Design) -> tuple[Any, Any, Any]:
    """The fitted rows' features, their weighted residuals, and the inverse of the curvature."""
    import numpy as np

    features = design.fitted.drop(columns="preference")
    x, predicted = features.to_numpy(), model.predict_proba(features)[:, 1]
    weights = np.ones(len(x)) if design.weights is None else design.weights.to_numpy()
    bread = np.linalg.pinv((x * (weights * predicted * (1 - predicted))[:, None]).T @ x)
    return x, weights * (design.fitted["preference"].to_numpy() - predicted), bread


def _standard_error(model: Any, design: _Design, slope: Any) -> float:
    """The Huber-White standard error of a linear combination, which assumes no variance."""
    import numpy as np

    x, residuals, bread = _sandwich(model, design)
    scores = x * residuals[:, None]
    return float(np.sqrt(slope @ bread @ (scores.T @ scores) @ bread @ slope))
