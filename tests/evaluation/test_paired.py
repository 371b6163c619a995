"""Runs compared by item: which outcomes count, and the resulting numbers."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.evaluation.paired import PairedDifference, paired_differences
from preceptor.statistics.differences import mean_difference, sign_flip_tests

quick = settings(max_examples=30)
SCHEMA = {"item_id": pl.String, "outcome": pl.Float64}
tenths = st.integers(0, 10).map(lambda number: number / 10)
small = st.lists(st.tuples(tenths, tenths), min_size=2, max_size=7)


def frame(outcomes, start=0):
    items = [f"i{number:04}" for number in range(start, start + len(outcomes))]
    return pl.DataFrame({"item_id": items, "outcome": outcomes}, schema=SCHEMA)


def compared(first, second, seed=0, largest=1.0):
    runs = [first.with_columns(run=pl.lit("1")), second.with_columns(run=pl.lit("2"))]
    ((_, _, found),) = paired_differences(pl.concat(runs), seed, largest)
    return found


def of_pairs(pairs):
    return compared(*(frame(list(column)) for column in zip(*pairs, strict=True)))


@quick
@given(small)
def test_the_numbers_come_from_the_differences_by_item(pairs):
    found = of_pairs(pairs)
    differences = np.array([first - second for first, second in pairs])
    mean, (test,) = mean_difference(differences), sign_flip_tests(differences[None], 0)
    assert (found.value, found.low, found.high) == (mean.value, mean.low, mean.high)
    assert (found.p_value, found.n) == (test.p_value, len(pairs))
    assert found.method == f"{test.method}; interval of Bonett and Price (2012)"


@quick
@given(small)
def test_swapped_runs_swap_the_sign_and_the_row_order_does_not_matter(pairs):
    found, swapped = of_pairs(pairs), of_pairs([(second, first) for first, second in pairs])
    assert (swapped.value, swapped.p_value) == pytest.approx((-found.value, found.p_value))
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert -1 <= found.low <= found.value <= found.high <= 1 and 0 < found.p_value <= 1
    first, second = (frame(list(column)) for column in zip(*pairs, strict=True))
    assert compared(first.reverse(), second.sort("outcome")) == found


@quick
@given(st.lists(tenths, min_size=2, max_size=20))
def test_a_run_does_not_differ_from_itself_but_its_interval_has_a_width(outcomes):
    found = of_pairs([(outcome, outcome) for outcome in outcomes])
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high


def test_samples_of_an_item_are_averaged_without_failed_ones():
    first = pl.DataFrame({"item_id": ["a", "a", "a", "b", "c"], "outcome": [1.0, 0.0, None, 1.0, 1.0]})
    second = pl.DataFrame({"item_id": ["a", "b", "b", "d", "e"], "outcome": [0.0, 0.0, 1.0, 1.0, None]})
    found = compared(first, second)
    assert (found.value, found.n, found.only_first, found.only_second) == (0.5, 2, 1, 1)  # 1/2 - 0, 1 - 1/2
    assert found.p_value == 0.5  # ++ and -- of four


def test_the_order_of_samples_does_not_change_the_last_digit():
    first, other = ([0.9, 0.3, 0.5], [0.3, 0.5, 0.9])  # polars' means of them differ by 1e-16
    runs = [
        pl.DataFrame({"item_id": ["a", "a", "a", "b"], "outcome": [*outcomes, 1.0]})
        for outcomes in (first, other)
    ]
    lost = frame([0.0, 0.0]).with_columns(item_id=pl.Series(["a", "b"]))
    assert compared(runs[0], lost) == compared(runs[1], lost)


def test_fewer_than_two_common_items_are_an_error_without_a_number():
    nothing = PairedDifference(error="no item has an outcome in both runs")
    assert compared(frame([None]), frame([None])) == nothing
    found = compared(frame([1.0, 1.0]), frame([1.0, 0.0], start=1))
    assert (found.n, found.only_first, found.only_second) == (1, 1, 1)
    assert found.error == "one item has an outcome in both runs" and found.value is found.p_value is None


def test_an_impossible_difference_is_refused():
    first, second = frame([1.0, 1.0]), frame([1.0, 5.0])
    with pytest.raises(ValueError, match="more than 1,"):
        compared(first, second)
    assert compared(first, second, largest=5.0).value == -2.0
    assert compared(first, frame([1.0, 9.0]), largest=None).value == -4.0
    assert compared(first, second, largest=None).method.endswith(
        "1.96 standard errors of the mean difference"
    )


def test_all_pairs_equal_those_of_two_runs_alone():
    draw = np.random.default_rng(3)
    runs = {name: frame((draw.random(60) < 0.5).astype(float)) for name in "abc"}
    together = pl.concat([rows.with_columns(run=pl.lit(name)) for name, rows in runs.items()])
    found = {(one, other): difference for one, other, difference in paired_differences(together, 7)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found == {(a, b): compared(runs[a], runs[b], 7) for a, b in found}
    against = paired_differences(together, 7, against="b")
    assert [(a, b) for a, b, _ in against] == [("a", "b"), ("c", "b")]
