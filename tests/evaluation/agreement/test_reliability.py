"""Judges with known faults: one that looks at the place, one that forgets, one that reads like people."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.evaluation.agreement.labels import label_agreement
from preceptor.evaluation.agreement.reliability import (
    drawn_position_bias,
    human_agreement,
    position_bias,
    self_consistency,
)
from preceptor.statistics.differences import mean_difference
from preceptor.statistics.estimates import NOTHING, Estimate

quick = settings(max_examples=30)
SCHEMA = {
    "item_id": pl.String,
    "sample": pl.Int64,
    "order": pl.String,
    "draw": pl.Int64,
    "outcome": pl.Float64,
}
PLACES = ("response_first", "reference_first")
outcome = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
in_both_orders = st.lists(st.tuples(outcome, outcome), min_size=1, max_size=8)


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def shown(pairs):
    """Items with one draw in each order."""
    return frame([(f"i{n}", 0, PLACES[o], 0, pair[o]) for n, pair in enumerate(pairs) for o in range(2)])


def people(labels):
    return pl.DataFrame({"item_id": [f"i{n}" for n in range(len(labels))], "label": labels})


def test_a_judge_that_takes_the_first_has_a_bias_of_1_and_flips_always():
    found = position_bias(shown([(1.0, 0.0)] * 10))
    assert (found.estimate.value, found.flips.value, found.n, found.pairs) == (1.0, 1.0, 10, 10)
    last = position_bias(shown([(0.0, 1.0)] * 10))
    assert (last.estimate.value, last.flips.value) == (-1.0, 1.0)


def test_a_judge_that_sees_no_place_has_a_bias_of_0_with_an_interval():
    found = position_bias(shown([(1.0, 1.0), (0.0, 0.0), (0.5, 0.5)] * 5))
    assert (found.estimate.value, found.flips.value) == (0.0, 0.0)
    assert found.estimate.low < 0 < found.estimate.high


def test_position_bias_by_hand_with_draws_samples_and_failures():
    rows = [
        *(("a", 0, "response_first", draw, each) for draw, each in enumerate([1.0, 1.0, 0.0, None])),  # 2/3
        ("a", 0, "reference_first", 0, 0.0),  # a, sample 0: 2/3, flipped
        ("a", 1, "response_first", 0, 1.0),
        ("a", 1, "reference_first", 0, 1.0),  # a, sample 1: 0
        ("b", 0, "response_first", 0, 0.5),
        ("b", 0, "reference_first", 0, 1.0),  # b: -1/2; a tie in one order is no flip
        ("c", 0, "response_first", 0, 1.0),
        ("c", 0, "reference_first", 0, None),  # failed
        ("d", 0, "reference_first", 0, 1.0),  # the other order was never asked
        ("e", 0, "alone", 0, 1.0),
    ]
    found = position_bias(frame(rows))
    assert found.estimate.value == pytest.approx((1 / 3 - 1 / 2) / 2)
    assert found.flips.value == pytest.approx((1 / 2 + 0) / 2)
    assert (found.n, found.pairs, found.left_out) == (2, 3, 2)


@quick
@given(in_both_orders)
def test_position_bias_is_the_mean_difference_and_turns_with_the_orders(pairs):
    found = position_bias(shown(pairs))
    expected = mean_difference(pl.Series([first - second for first, second in pairs]).to_numpy())
    assert vars(found.estimate) == pytest.approx(vars(expected))
    assert position_bias(shown(pairs).reverse()) == found
    turned = position_bias(shown([(second, first) for first, second in pairs]))
    assert turned.estimate.value == pytest.approx(-found.estimate.value)
    assert turned.flips == found.flips
    flipped = [min(pair) < 0.5 < max(pair) for pair in pairs]
    assert found.flips.value == pytest.approx(sum(flipped) / len(pairs))


def one_order(first, second):
    """Items shown in one order each: outcomes of those with the response first, and of the others."""
    return frame(
        [(f"f{n}", 0, PLACES[0], 0, o) for n, o in enumerate(first)]
        + [(f"s{n}", 0, PLACES[1], 0, o) for n, o in enumerate(second)]
    )


def test_the_bias_of_a_drawn_order_is_newcombes_difference_of_two_means():
    # Newcombe (1998), Statist. Med. 17, 873-890, Table II, column a, method 10: 56/70 - 48/80.
    found, items = drawn_position_bias(one_order([1.0] * 56 + [0.0] * 14, [1.0] * 48 + [0.0] * 32))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert items == 150


def test_a_judge_that_takes_the_first_in_a_drawn_order_is_no_certainty():
    found, _ = drawn_position_bias(one_order([1.0] * 10, [0.0] * 10))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.5 < found.low < 1
    assert drawn_position_bias(one_order([1.0], []))[0].error == "no item has an outcome in one of the orders"


def test_self_consistency_by_hand():
    rows = [
        *(("a", 0, "alone", draw, each) for draw, each in enumerate([0.9, 0.6, 0.8, 0.2])),  # 3 of 6 pairs
        *(("b", 0, "response_first", draw, each) for draw, each in enumerate([0.1, 0.2])),  # 1 of 1
        *(("b", 0, "reference_first", draw, each) for draw, each in enumerate([0.9, 0.5, None])),  # 0 of 1
        ("c", 0, "response_first", 0, 1.0),
        ("c", 0, "reference_first", 0, 1.0),  # another order is another question
        ("d", 0, "alone", 0, 1.0),
        ("d", 1, "alone", 0, 1.0),  # and so is another response
    ]
    found = self_consistency(frame(rows))
    assert found.estimate.value == pytest.approx((3 / 6 + 1 / 2) / 2)
    assert (found.n, found.left_out) == (2, 2)


@quick
@given(st.lists(st.lists(outcome, min_size=2, max_size=4), min_size=1, max_size=5))
def test_self_consistency_is_bounded_blind_to_order_and_1_for_repeated_answers(items):
    rows = [
        (f"i{n}", 0, "alone", draw, each) for n, draws in enumerate(items) for draw, each in enumerate(draws)
    ]
    found = self_consistency(frame(rows))
    assert 0 <= found.estimate.low <= found.estimate.value <= found.estimate.high <= 1
    assert self_consistency(frame(rows).reverse()) == found
    again = [(item, sample, order, draw, items[int(item[1:])][0]) for item, sample, order, draw, _ in rows]
    assert self_consistency(frame(again)).estimate.value == 1.0


def test_human_agreement_averages_the_orders_before_it_takes_a_side():
    rows = [
        *(("i0", 0, "response_first", draw, 1.0) for draw in range(3)),
        ("i0", 0, "reference_first", 0, 0.0),  # (1 + 0) / 2: a tie, though three of four draws won
        ("i1", 0, "response_first", 0, 0.9),
        ("i1", 0, "reference_first", 0, 0.6),  # a win
        ("i2", 0, "alone", 0, None),  # failed
        ("i3", 0, "alone", 0, 0.1),  # a loss, and no label
    ]
    labels = people(["win", "win", "lose"])
    rows += [("i4", 0, "response_first", 0, 0.9), ("i4", 0, "reference_first", 0, None)]  # half a duel
    found = human_agreement(frame(rows), labels, seed=0)
    assert found.tie_discounted.value == pytest.approx((0.5 + 1) / 2)
    assert (found.n, found.only_first, found.only_second, found.left_out) == (2, 1, 1, 2)
    assert human_agreement(frame(rows).reverse(), labels.reverse(), seed=0) == found


@quick
@given(in_both_orders)
def test_people_who_say_what_the_judge_says_agree_fully(pairs):
    sides = ["win" if sum(pair) > 1 else "lose" if sum(pair) < 1 else "tie" for pair in pairs]
    found = human_agreement(shown(pairs), people(sides), seed=0)
    assert found == label_agreement(people(sides), people(sides), seed=0)
    assert found.tie_discounted.value == 1.0


def test_nothing_judged_is_an_error():
    empty, nothing = frame([]), Estimate(error=NOTHING)
    bias = position_bias(empty)
    assert (bias.estimate, bias.flips, bias.n, bias.pairs, bias.left_out) == (nothing, nothing, 0, 0, 0)
    consistency = self_consistency(empty)
    assert (consistency.estimate, consistency.n, consistency.left_out) == (nothing, 0, 0)
    agreement = human_agreement(empty, people(["win"]), seed=0)
    assert (agreement.tie_discounted, agreement.n, agreement.only_second) == (nothing, 0, 1)


@pytest.mark.parametrize("measure", [position_bias, self_consistency])
def test_orders_and_outcomes_that_cannot_be_are_refused(measure):
    with pytest.raises(ValueError, match="item a has the order 'first': use response_first, reference_first"):
        measure(frame([("a", 0, "first", 0, 1.0)]))
    with pytest.raises(ValueError, match=r"item a has the outcome 7.0: .*0 to 1"):
        measure(frame([("a", 0, "alone", 0, 7.0)]))
