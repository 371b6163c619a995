"""AlpacaEval's length-controlled win rate (arXiv 2404.04475) for any judge and instructions, offline.

alpaca-eval's own entry point downloads its instructions' difficulty and its gamed models' judgments, even
for formulas that use neither. Both were measured for 805 instructions and one judge, so they say nothing
about others: here its minimal formula is fitted with its own functions.
"""

import warnings
from typing import Any

import polars as pl

from preceptor.evaluation.estimates import NORMAL_95, NOTHING, Estimate

GLM = "length_controlled_minimal"
EPSILON = 1e-15
LEAST_SPREAD = 0.05  # of the length feature, which runs from -1 to 1


def length_controlled(duels: pl.DataFrame) -> Estimate:
    """Fit P(win) = σ(θ·tanh(Δ/sd(Δ)) + ψ) and give σ(ψ). Δ = characters of the reference - the response's.

    `duels` has the columns `outcome` (0 to 1), `characters` and `reference_characters`. The interval is
    σ(ψ ± 1.96·s), s the standard error that allows for fractional outcomes (Papke and Wooldridge, 1996):
    alpaca-eval's lc_standard_error is the spread of instruction difficulty, 0 for a formula without it.
    """
    import numpy as np
    import pandas as pd
    from alpaca_eval.metrics.glm_winrate import GLM_INFO, fit_LogisticRegressionCV, make_dmatrix_for_model

    settings = GLM_INFO[GLM]
    delta = (duels["reference_characters"] - duels["characters"]).to_numpy().astype(float)
    if fault := _unfit(delta, settings["kwargs"]["n_splits"]):
        return Estimate(error=fault)
    features = {"std_delta_len": delta / delta.std(ddof=1), "not_gamed_baseline": True}
    # As in alpaca-eval's log loss: folds of nothing but 0 or 1 would lack a class and spoil the fit.
    outcomes = duels["outcome"].clip(EPSILON, 1 - EPSILON).to_numpy()
    train = pd.DataFrame({"preference": outcomes, **features})
    fitted, asked = make_dmatrix_for_model(train, train.assign(std_delta_len=0.0), settings["formula"])
    with warnings.catch_warnings():
        # alpaca-eval asks scikit-learn in a way that 1.10 ends; pyproject.toml stays below it. A fit that did
        # not converge shows in the interval.
        warnings.simplefilter("ignore")
        model = fit_LogisticRegressionCV(fitted, "preference", **settings["kwargs"])
    at_equal_lengths = asked.to_numpy()[0]
    logit = at_equal_lengths @ model.coef_[0]
    margin = NORMAL_95 * _standard_error(model, fitted, at_equal_lengths)
    value, low, high = (0.5 * (1 + np.tanh(x / 2)) for x in (logit, logit - margin, logit + margin))
    return Estimate(float(value), float(low), float(high))


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


def _standard_error(model: Any, fitted: Any, at: Any) -> float:
    """Huber's and White's standard error of the linear predictor at a point: no variance is assumed."""
    import numpy as np

    features = fitted.drop(columns="preference")
    x, predicted = features.to_numpy(), model.predict_proba(features)[:, 1]
    bread = np.linalg.pinv((x * (predicted * (1 - predicted))[:, None]).T @ x)
    scores = x * (fitted["preference"].to_numpy() - predicted)[:, None]
    return float(np.sqrt(at @ bread @ (scores.T @ scores) @ bread @ at))
