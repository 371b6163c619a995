"""Shares over pairs and their differences: intervals that know that an item's pairs share a response."""

import math
import statistics

import numpy as np
import pytest

from preceptor.evaluation.held_out.ranking import (
    METHODS,
    TRUNCATED,
    RankedItem,
    compare,
    ranking_estimates,
)
from preceptor.evaluation.held_out.ranking_benchmark import ranking_decision
from preceptor.statistics.estimates import NOTHING, Estimate


def item(number: int, share: float, pairs: int = 5) -> RankedItem:
    counts = {"normalised_pairs": pairs, "raw_pairs": pairs, "truncated_pairs": 0, "failed_pairs": 0}
    return RankedItem(str(number), {"normalised": share, "raw": share, **counts})


def test_a_share_is_over_pairs_with_errors_by_item():
    # 5 of 5, 2 of 4, 0 of 1: 7 of 10 pairs. Wins minus 0.7 a pair: 1.5, -0.8, -0.7, each over 10 pairs.
    rows = [item(0, 1.0, 5), item(1, 0.5, 4), item(2, 0.0, 1)]
    found = ranking_estimates(rows)["raw"]
    margin = 1.96 * math.sqrt(3 / 2 * (1.5**2 + 0.8**2 + 0.7**2)) / 10
    assert (found.estimate.value, found.estimate.low) == pytest.approx((0.7, 0.7 - margin))
    assert found.estimate.high == min(1.0, 0.7 + margin)
    assert (found.items, found.pairs) == (3, 10)


def test_the_clustered_interval_covers_the_truth_where_the_binomial_one_does_not():
    # An item's 5 pairs are won with its own probability from Beta(2, 1), whose mean is 2/3: the pairs of an
    # item go together (correlation 1/4, hence twice the binomial variance, and √2 more of its margin).
    generator = np.random.default_rng(0)
    wins = generator.binomial(5, generator.beta(2, 1, size=(500, 60)))
    clustered = binomial = 0
    for counts in wins:
        found = ranking_estimates([item(n, won / 5) for n, won in enumerate(counts)])["raw"].estimate
        clustered += found.low <= 2 / 3 <= found.high
        margin = 1.96 * math.sqrt(found.value * (1 - found.value) / 300)
        binomial += abs(found.value - 2 / 3) <= margin
    # By the normal distribution 95.0 and 83.4 %; 500 draws have standard errors of 1.0 and 1.7 %.
    assert 0.92 < clustered / 500 < 0.98
    assert 0.78 < binomial / 500 < 0.89


def test_the_paired_difference_covers_the_truth_and_is_narrower_than_two_shares_allow():
    # Both models win with the item's own probability p, the tuned one with 0.9 · p: mean difference -1/15.
    generator = np.random.default_rng(0)
    chances = generator.beta(2, 1, size=(400, 60))
    covered = narrower = 0
    for p in chances:
        base, tuned = (
            [item(n, won / 5) for n, won in enumerate(generator.binomial(5, factor * p))]
            for factor in (1, 0.9)
        )
        found = compare(base, tuned)["raw"].estimate
        covered += found.low <= -1 / 15 <= found.high
        two = [ranking_estimates(rows)["raw"].estimate for rows in (base, tuned)]
        narrower += found.high - found.low < math.hypot(*(one.high - one.low for one in two))
    assert 0.915 < covered / 400 < 0.98
    assert narrower == 400


def test_a_difference_is_tuned_minus_base_item_by_item():
    base = [item(0, 1.0), item(1, 0.4), item(2, 0.6)]
    tuned = [item(2, 0.4), item(0, 0.8), item(1, 0.4)]
    found = compare(base, tuned)["normalised"]
    margin = 1.96 * statistics.stdev([-0.2, 0.0, -0.2]) / math.sqrt(3)
    value = -0.4 / 3
    assert (found.estimate.value, found.estimate.low, found.estimate.high) == pytest.approx(
        (value, value - margin, value + margin)
    )
    assert (found.items, found.pairs, found.left_out_items) == (3, 15, 0)


def test_a_model_does_not_differ_from_itself():
    rows = [item(0, 1.0), item(1, 0.4, 3)]
    found = compare(rows, rows)["raw"].estimate
    assert (found.value, found.low) == (0.0, -found.high)
    assert found.high > 0.5  # two items that do not vary are no certainty


def test_items_that_all_rank_right_are_no_certainty():
    found = ranking_estimates([item(n, 1.0) for n in range(12)])["normalised"].estimate
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(12 / (12 + 1.96**2))  # Wilson's lower end of n of n: n / (n + z²)


def test_items_that_only_one_model_has_or_has_other_pairs_of_are_left_out_of_the_difference():
    base = [item(0, 1.0), item(1, 0.4), item(2, 0.6), item(3, 0.2)]
    tuned = [item(0, 0.8), RankedItem("1", error="out of memory"), item(2, 0.5, 4), item(3, 0.2)]
    found = compare(base, tuned)["normalised"]
    assert (found.estimate.value, found.items, found.left_out_items) == (pytest.approx(-0.1), 2, 2)


def test_models_that_were_asked_different_items_are_not_compared():
    with pytest.raises(ValueError, match="score both on the same requests"):
        compare([item(0, 1.0)], [item(1, 1.0)])


def test_nothing_ranked_is_an_error_in_every_measure():
    rows = [RankedItem("0", error="out of memory")]
    for found in (ranking_estimates(rows), compare(rows, rows)):
        assert list(found) == list(METHODS)
        assert {one.estimate for one in found.values()} == {Estimate(error=NOTHING)}


@pytest.mark.parametrize(
    ("left_out", "filtered"),
    [([TRUNCATED, TRUNCATED], True), ([TRUNCATED, "the random response cannot be scored: no memory"], False)],
)
def test_only_what_the_context_cuts_is_left_out_on_purpose(left_out, filtered):
    tuned, base = RankedItem("0", {"normalised": 1.0}, tuple(left_out)), item(0, 1.0)
    found = ranking_decision(tuned, base, "raw")
    assert found.outcome is None and found.error.startswith("not ranked raw")
    assert (found.filtered is not None) == filtered


def test_an_item_that_the_base_cannot_rank_has_failed():
    found = ranking_decision(RankedItem("0", {}, (TRUNCATED,)), RankedItem("0", error="no memory"), "raw")
    assert (found.error, found.filtered) == ("under the base: no memory", None)
