"""Agreement between two judges against counts by hand."""

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.evaluation.agreement.labels import (
    LABELS,
    TIE,
    agreement_of_pairs,
    label_agreement,
    label_of,
)
from preceptor.statistics.estimates import NOTHING, Estimate

quick = settings(max_examples=30)
label = st.sampled_from(LABELS)
verdicts = st.lists(st.tuples(label, label), min_size=1, max_size=12)
MIRROR = {"win": "lose", "tie": "tie", "lose": "win"}


def frame(labels, start=0):
    items = [f"i{number}" for number in range(start, start + len(labels))]
    return pl.DataFrame(
        {"item_id": items, "label": labels}, schema={"item_id": pl.String, "label": pl.String}
    )


def compared(pairs):
    first, second = (list(column) for column in zip(*pairs, strict=True))
    return label_agreement(frame(first), frame(second), seed=0)


def test_limas_points_by_hand():
    pairs = [("win", "win"), ("tie", "tie"), ("win", "tie"), ("tie", "lose"), ("win", "lose")]
    found = compared(pairs)
    assert found.tie_discounted.value == pytest.approx((1 + 1 + 0.5 + 0.5 + 0) / 5)
    assert found.plain.value == pytest.approx(2 / 5)
    assert (found.n, found.left_out) == (5, 0)


def test_items_that_one_judge_lacks_are_counted_and_change_nothing():
    first = frame(["win", "lose", "tie", None])
    second = frame(["lose", "tie", "win", "win", "win"], start=1)
    found = label_agreement(first, second, seed=0)
    assert (found.n, found.only_first, found.only_second, found.left_out) == (2, 1, 3, 4)
    assert found.tie_discounted.value == 1.0  # i1 lose lose, i2 tie tie


def test_kappa_by_hand():
    pairs = [("win", "win")] * 20 + [("lose", "lose")] * 15 + [("win", "lose")] * 5 + [("lose", "win")] * 10
    found = compared(pairs)
    expected = (25 * 30 + 25 * 20) / 50**2  # the judges' shares of win: 25 and 30 of 50
    assert found.kappa.value == pytest.approx((0.7 - expected) / (1 - expected))


@quick
@given(verdicts)
def test_symmetric_bounded_and_blind_to_order_and_side(pairs):
    found = compared(pairs)
    assert 0 <= found.plain.value <= found.tie_discounted.value <= 1
    for estimate in (found.plain, found.tie_discounted):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    turned = compared([(second, first) for first, second in pairs])
    mirrored = compared([(MIRROR[first], MIRROR[second]) for first, second in pairs])
    assert turned.tie_discounted == found.tie_discounted == mirrored.tie_discounted
    assert turned.plain == found.plain == mirrored.plain
    first, second = (frame(list(column)) for column in zip(*pairs, strict=True))
    assert label_agreement(first.reverse(), second.sort("label"), seed=0) == found


@quick
@given(st.lists(label, min_size=1, max_size=12))
def test_a_judge_agrees_with_itself_and_with_its_mirror_on_ties_only(labels):
    same = compared([(each, each) for each in labels])
    assert same.tie_discounted.value == same.plain.value == 1.0
    mirrored = compared([(each, MIRROR[each]) for each in labels])
    assert mirrored.tie_discounted.value == pytest.approx(labels.count(TIE) / len(labels))


@quick
@given(st.lists(label, min_size=2, max_size=6))
def test_points_of_several_labels_are_the_mean_over_all_pairs(labels):
    found = agreement_of_pairs(pl.DataFrame({"item_id": "i", "label": labels}), ["item_id"], half=TIE)
    pairs = list(combinations(labels, 2))
    points = [1.0 if one == other else 0.5 if TIE in (one, other) else 0.0 for one, other in pairs]
    assert found["pairs"].to_list() == [len(pairs)]
    assert found["agreement"].to_list() == pytest.approx([sum(points) / len(pairs)])


def test_a_single_label_makes_no_pair():
    labels = pl.DataFrame({"item_id": ["a", "b", "b"], "label": ["win", "win", "lose"]})
    assert agreement_of_pairs(labels, ["item_id"]).rows() == [("b", 0.0, 1)]


def test_an_outcome_is_on_a_side_of_one_half_whatever_a_means_last_digit():
    outcomes = pl.DataFrame({"outcome": [1.0, 0.51, 0.5, 0.5 + 1e-15, 0.0, None]})
    assert outcomes.select(label_of(pl.col("outcome")))["literal"].to_list() == [
        *("win", "win", "tie", "tie", "lose"),
        None,
    ]


def test_nothing_in_common_is_an_error():
    for first, second in ((frame([]), frame([])), (frame(["win"]), frame(["win"], start=1))):
        found = label_agreement(first, second, seed=0)
        assert {found.tie_discounted, found.plain, found.kappa} == {Estimate(error=NOTHING)}
        assert found.n == 0 and found.left_out == first.height + second.height


def test_unknown_labels_and_repeated_items_are_refused():
    with pytest.raises(ValueError, match="second judge's label of item i0 is 'won': write one of win, tie"):
        label_agreement(frame(["win"]), frame(["won"]), seed=0)
    with pytest.raises(ValueError, match="first judge has item i0 twice"):
        label_agreement(pl.concat([frame(["win"]), frame(["lose"])]), frame(["win"]), seed=0)
