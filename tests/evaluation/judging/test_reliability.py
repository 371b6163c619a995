"""What is told of a judge, from rows of `judgments`: only what it was asked counts."""

import polars as pl
import pytest

from preceptor.evaluation.judging.judge import SAME
from preceptor.evaluation.judging.reliability import agreement_with_people, reliability
from preceptor.lake.schemas import JUDGMENTS

ORDERS = ("response_first", "reference_first")


def judgments(rows) -> pl.DataFrame:
    """(item, shown, draw, verdict, outcome) each."""
    names = ("item_id", "shown", "draw", "verdict", "outcome")
    return pl.DataFrame(
        [{**dict(zip(names, row, strict=True)), "sample": 0} for row in rows], schema=JUDGMENTS.row_schema
    )


def duel(item, first, second, draw=0, verdict="said"):
    return [(item, shown, draw, verdict, o) for shown, o in zip(ORDERS, (first, second), strict=True)]


def metrics(rows) -> dict:
    return {metric.name: metric for metric in reliability(judgments(rows))}


def same(count: int, draws: int = 1) -> list:
    """Items whose two answers are the same text: nobody asked the judge."""
    return [
        row for n in range(count) for d in range(draws) for row in duel(f"s{n}", 0.5, 0.5, d, SAME.verdict)
    ]


def test_what_nobody_asked_the_judge_says_nothing_of_its_bias():
    found = metrics([*same(8), *duel("a", 1.0, 0.0), *duel("b", 1.0, 0.0)])
    assert (found["position_bias"].estimate.value, found["position_bias"].n) == (1.0, 2)
    assert found["verdict_flips"].estimate.value == 1.0


def test_nor_of_its_consistency():
    turning = [row for d in range(2) for row in duel("a", float(d), float(d), d)]
    found = metrics([*same(8, draws=2), *turning])["self_consistency"]
    assert (found.estimate.value, found.n) == (0.0, 1)


def test_an_order_drawn_by_item_has_a_bias_between_items_and_no_flips():
    rows = [(f"i{n}", ORDERS[n % 2], 0, "said", 1.0 - n % 2) for n in range(20)]
    found = metrics(rows)
    assert list(found) == ["position_bias"]
    assert (found["position_bias"].estimate.value, found["position_bias"].n) == (1.0, 20)
    assert "each judged in one order at random" in found["position_bias"].method


def test_half_a_duel_agrees_with_nobody():
    rows = judgments([*duel("a", 0.9, None), *duel("b", 1.0, 1.0), *same(1)])
    labels = pl.DataFrame({"item_id": ["a", "b", "s0"], "label": ["win", "lose", "tie"]})
    agreement = agreement_with_people(rows, labels)[0]
    assert (agreement.estimate.value, agreement.n) == (pytest.approx(0.0), 1)
    assert agreement.method.endswith("2 items have only one of the two")
