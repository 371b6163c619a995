"""Maximum-likelihood logistic regression on fractional outcomes, which knows when there is no maximum."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_STEPS = 100
CONVERGED = 1e-9  # a change of every row's log-odds
MOST_LOG_ODDS = 30.0  # one battle in 10^13, which no number of battles shows
COLLINEAR = 1e-10  # the least eigenvalue, with a diagonal of ones


def maximum_likelihood(design: Floats, outcome: Floats, weight: Floats, penalty: Floats) -> Floats:
    """The c with the least Σ weight · (-log-likelihood of outcomes 0 to 1 at σ(design c)) + c'·penalty·c / 2.

    design is (rows, coefficients), penalty (coefficients, coefficients). All NaN where no finite c is best
    (separation: Albert and Anderson, Biometrika 1984) or several are.

    Newton's steps, each log(1 + r) / r of its length, r the most that it changes any row's log-odds: they
    descend from any start (from proposition 1 of Bach, Electronic Journal of Statistics 4, 2010). To judge
    convergence by r and not by the gradient is what tells a maximum at infinity: there r stays near 1.
    """
    from scipy.special import expit

    found = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        probability = expit(design @ found)
        gradient = design.T @ (weight * (probability - outcome)) + penalty @ found
        curvature = (design.T * (weight * probability * (1 - probability))) @ design + penalty
        if _singular(curvature) or np.abs(design @ found).max(initial=0.0) > MOST_LOG_ODDS:
            break
        step = np.linalg.solve(curvature, gradient)
        change = np.abs(design @ step).max(initial=0.0)
        if change < CONVERGED:
            return found - step
        found = found - step * np.log1p(change) / change
    return np.full_like(found, np.nan)


def _singular(curvature: Floats) -> bool:
    scale = np.sqrt(np.diag(curvature))
    if (scale == 0).any():
        return True
    return bool(np.linalg.eigvalsh(curvature / np.outer(scale, scale)).min(initial=1.0) < COLLINEAR)
