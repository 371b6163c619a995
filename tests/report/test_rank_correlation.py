"""The conclusion from the rank correlation between a prediction and the outcomes."""

from dataclasses import replace

import pytest

from preceptor.report.rank_correlation import conclusion, predictor_correlation
from preceptor.statistics.correlation import rank_correlation


def test_the_numbers_are_those_of_the_rank_correlation():
    predicted, actual = [1, 2, 3, 4, 5, 6, 7, 8], [3, 1, 2, 8, 4, 5, 6, 7]
    found = predictor_correlation(predicted, actual)
    assert vars(found).items() >= vars(rank_correlation(predicted, actual)).items()
    assert found.reason is found.untested is None


@pytest.mark.parametrize(
    ("predicted", "actual", "reason"),
    [
        ([], [], "no teacher has both"),
        ([1], [2], "only one teacher has both"),
        ([1, 1, 1], [1, 2, 3], "all 3 predictions are the same"),
        ([1, 2, 3], [1, 1, 1], "all 3 outcomes are the same"),
        ([1, 2, 3], [1, 3, 2], "3 teachers are too few for an interval"),
        ([1, 2, 3, 4], [1, 2, 3, 4], "Fisher's z gives no interval"),
    ],
)
def test_a_missing_number_has_a_reason(predicted, actual, reason):
    found = predictor_correlation(predicted, actual)
    assert reason in found.reason and found.low is None


def test_the_conclusion_gives_numbers_and_significance():
    said = conclusion(predictor_correlation([1, 2, 3, 4, 5, 6, 7, 8], [3, 1, 2, 8, 4, 5, 6, 7]))
    for fact in ("ρ = 0.69", "8 teachers", "-0.13 to 0.95", "p = 0.069", "not significant", "|ρ| ≥ 0.74"):
        assert fact in said
    assert "significantly agrees" in conclusion(predictor_correlation(range(8), range(8)))
    assert "reverse" in conclusion(predictor_correlation(range(8), range(8, 0, -1)))
    assert "no ρ can be significant" in conclusion(predictor_correlation(range(4), range(4)))
    hint = predictor_correlation(range(8), [2, 0, 1, 4, 7, 3, 5, 6])  # ρ = 0.738, interval from -0.04
    assert "a hint" in conclusion(hint)
    assert "no teacher has both" in conclusion(predictor_correlation([], []))


def test_the_adjusted_p_decides_among_many_tests():
    found = predictor_correlation(range(6), [1, 0, 2, 3, 4, 5])
    assert found.p_value < 0.05 and "significantly agrees" in conclusion(found)
    among = replace(found, tests=40, p_adjusted=0.4)
    assert "not significant" in conclusion(among) and "40 tests" in conclusion(among)
    assert "significantly agrees" in conclusion(replace(found, tests=40, p_adjusted=0.03))


def test_an_untested_correlation_has_only_rho():
    found = predictor_correlation(range(8), range(8), untested="n = 4 styles, not 8 teachers")
    assert (found.rho, found.low, found.p_value, found.smallest_significant) == (1.0, None, None, None)
    assert "not tested: n = 4 styles, not 8 teachers" in conclusion(found)
    assert "significant" not in conclusion(found)
