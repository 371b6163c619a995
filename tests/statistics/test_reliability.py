"""Cohen's kappa against scikit-learn and its known standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.statistics.reliability import cohens_kappa

tables = st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=3, max_size=3)


@settings(max_examples=30)
@given(tables)
def test_kappa_is_scikit_learns(counts):
    table = np.array(counts, dtype=float)
    found = cohens_kappa(table, seed=0)
    if table.sum() == 0:
        assert found == Estimate(error=NOTHING)
        return
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(counts[i][j])]
    first, second = zip(*pairs, strict=True)
    if len({*first, *second}) == 1:
        assert found.value is None and "same label" in found.error
        return
    assert found.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    assert cohens_kappa(table, seed=0) == found


def test_the_interval_has_the_width_of_the_known_standard_error():
    table = np.array([[80.0, 20], [40, 60]])
    kappa = cohens_kappa(table, seed=0)
    # Fleiss, Cohen and Everitt (1969), Psychol. Bull. 72, with the shares of each label of the two judges
    shares = table / 200
    rows, columns = shares.sum(1), shares.sum(0)
    expected, k = float(rows @ columns), kappa.value
    same = sum(shares[i, i] * (1 - (rows[i] + columns[i]) * (1 - k)) ** 2 for i in range(2))
    mixed = sum(shares[i, 1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in range(2)) * (1 - k) ** 2
    error = np.sqrt((same + mixed - (k - expected * (1 - k)) ** 2) / 200) / (1 - expected)
    assert kappa.high - kappa.low == pytest.approx(2 * 1.96 * error, rel=0.03)


def test_raters_that_never_differ_have_no_interval():
    assert cohens_kappa(np.diag([9.0, 9.0]), seed=0) == Estimate(1.0)
