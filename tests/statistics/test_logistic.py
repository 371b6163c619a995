"""Logistic regression where the answer is a closed form, and where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.statistics.logistic import maximum_likelihood

pytestmark = pytest.mark.filterwarnings("error")
counts = st.integers(1, 10**6)


@given(counts, counts)
def test_one_coefficient_is_the_logit_of_the_share(won, lost):
    weight = np.array([won, lost], float)
    (found,) = maximum_likelihood(np.ones((2, 1)), np.array([1.0, 0.0]), weight, np.zeros((1, 1)))
    assert found == pytest.approx(math.log(won / lost), abs=1e-9)


@given(st.floats(0.1, 100))
def test_a_penalised_coefficient_sets_the_gradient_to_0(strength):
    penalty = np.array([[strength]])
    (found,) = maximum_likelihood(np.ones((1, 1)), np.ones(1), np.ones(1), penalty)
    assert 1 / (1 + math.exp(-found)) - 1 + strength * found == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("design", "outcome"),
    [
        ([[1, -1], [1, 1], [1, 2]], [0, 1, 1]),  # separated by the second column
        ([[1, -1], [1, 0], [1, 0], [1, 1]], [0, 0, 1, 1]),  # separated but for ties at its 0
        ([[1, 2], [1, 2], [1, 2]], [0, 1, 1]),  # collinear: several are best
        ([[1, 0], [1, 0]], [0, 1]),
    ],
)
def test_where_no_coefficients_or_several_are_best_there_are_none(design, outcome):
    found = maximum_likelihood(
        np.array(design, float), np.array(outcome, float), np.ones(len(outcome)), np.zeros((2, 2))
    )
    assert np.isnan(found).all()


def test_a_maximum_is_found_where_newtons_full_steps_run_away():
    """The log-likelihood is concave: where its gradient is 0, it is largest. Full steps end in no number."""
    design = np.array([[1, 0], [1, -3], [1, -7], [1, 0], [1, 9]], float)
    outcome, weight = np.array([0.0, 1, 0, 1, 1]), np.array([1.0, 1000, 1, 10, 10])
    found = maximum_likelihood(design, outcome, weight, np.zeros((2, 2)))
    gradient = design.T @ (weight * (outcome - 1 / (1 + np.exp(-design @ found))))
    assert gradient == pytest.approx([0, 0], abs=1e-9)
