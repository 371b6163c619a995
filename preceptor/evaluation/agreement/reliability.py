"""Reliability of a judge: position bias, self-consistency, and agreement with people."""

from dataclasses import dataclass

import polars as pl

from preceptor.evaluation.agreement.labels import (
    LOSE,
    WIN,
    LabelAgreement,
    agreement_by_item,
    agreement_of_pairs,
    label_agreement,
    label_of,
)
from preceptor.statistics.differences import mean_difference
from preceptor.statistics.estimates import Estimate, difference_of
from preceptor.statistics.proportions import mean_share

RESPONSE_FIRST, REFERENCE_FIRST, ALONE = ORDERS = ("response_first", "reference_first", "alone")
SHOWING = ["item_id", "sample", "order"]


@dataclass(frozen=True)
class PositionBias:
    """The effect of the order of answers, over n items with pairs judged in both orders.

    `estimate` is -1 if the second answer always wins, 0 if the order does not matter, 1 if the first always
    wins. `flips` is the share of pairs won in one order and lost in the other. `pairs` counts pairs judged in
    both orders, `left_out` pairs with an outcome in one order or none.
    """

    estimate: Estimate
    flips: Estimate
    n: int
    pairs: int
    left_out: int


@dataclass(frozen=True)
class SelfConsistency:
    """The chance that two draws of the same judgment are on the same side of 0.5, over n items.

    `left_out` counts items without two draws with an outcome in the same order.
    """

    estimate: Estimate
    n: int
    left_out: int


def position_bias(judgments: pl.DataFrame) -> PositionBias:
    """Mean of the outcome with the response shown first - the outcome with it shown second.

    `judgments` has the columns item_id, sample, order, draw and outcome (0 to 1 from the tuned model's view,
    null if failed). Draws are averaged, then an item's samples. Judgments of a response alone do not count.
    Raises ValueError for an invalid order or outcome.
    """
    pairs = _both_orders(_checked(judgments))
    whole = pairs.drop_nulls(["first", "second"])
    first, second = label_of(pl.col("first")), label_of(pl.col("second"))
    flipped = ((first == WIN) & (second == LOSE)) | ((first == LOSE) & (second == WIN))
    shifted = whole.with_columns(difference=pl.col("first") - pl.col("second"), flipped=flipped)
    items = shifted.group_by("item_id").agg(pl.col("difference", "flipped").mean()).sort("item_id")
    return PositionBias(
        mean_difference(items["difference"].to_numpy()),
        mean_share(items["flipped"]),
        items.height,
        whole.height,
        pairs.height - whole.height,
    )


def drawn_position_bias(judgments: pl.DataFrame) -> tuple[Estimate, int]:
    """The position bias where each item was judged in one random order, and the number of items.

    The bias is the mean outcome of items whose response was shown first - the mean outcome of items whose
    reference was shown first, with the interval of `difference_of`. Raises ValueError for an invalid order or
    outcome.
    """
    shown = _checked(judgments).drop_nulls("outcome").group_by("order", "item_id", maintain_order=True)
    items = shown.agg(pl.col("outcome").mean())
    ours, theirs = (items.filter(order=order)["outcome"] for order in (RESPONSE_FIRST, REFERENCE_FIRST))
    first, second = mean_share(ours), mean_share(theirs)
    if first.value is None or second.value is None:
        return Estimate(error="no item has an outcome in one of the orders"), items.height
    return difference_of(first, second), items.height


def self_consistency(judgments: pl.DataFrame) -> SelfConsistency:
    """Share of equal pairs of draws, of the same response in the same order, averaged over items.

    Columns as for `position_bias`. Outcomes count as win, tie (exactly 0.5) or lose. Raises ValueError for an
    invalid order or outcome.
    """
    sides = _checked(judgments).with_columns(label=label_of(pl.col("outcome"))).drop_nulls("label")
    items = agreement_by_item(agreement_of_pairs(sides, SHOWING))
    left_out = judgments["item_id"].n_unique() - len(items)
    return SelfConsistency(mean_share(items), len(items), left_out)


def human_agreement(judgments: pl.DataFrame, labels: pl.DataFrame, seed: int) -> LabelAgreement:
    """Compare a judge's verdicts (as first) with people's labels (as second) of the same items.

    `judgments` as for `position_bias`, `labels` with item_id and label (win, tie or lose, from the tuned
    model's view; null is not judged). The verdict on an item is the side of 0.5 of its mean outcome. Draws
    are averaged before orders and samples, so that all orders weigh the same. A response without an outcome
    in one of its orders does not count, because a single order carries the judge's position bias.
    Raises ValueError for an invalid order, outcome or label, and for an item with two labels.
    """
    shown = _checked(judgments).sort(*SHOWING, "draw").group_by(SHOWING, maintain_order=True)
    whole = pl.col("outcome").is_not_null().all().over("item_id", "sample")
    means = shown.agg(pl.col("outcome").mean()).filter(whole)
    verdicts = means.group_by("item_id", maintain_order=True)
    verdict = label_of(pl.col("outcome").mean()).alias("label")
    return label_agreement(verdicts.agg(verdict), labels, seed)


def _both_orders(judgments: pl.DataFrame) -> pl.DataFrame:
    """A row for each compared response: its mean outcome in either order, null if there is none."""
    beside = judgments.filter(pl.col("order") != ALONE).sort(*SHOWING, "draw")
    outcome, order = pl.col("outcome"), pl.col("order")
    return beside.group_by("item_id", "sample", maintain_order=True).agg(
        first=outcome.filter(order == RESPONSE_FIRST).mean(),
        second=outcome.filter(order == REFERENCE_FIRST).mean(),
    )


def _checked(judgments: pl.DataFrame) -> pl.DataFrame:
    unknown = judgments.filter(~pl.col("order").is_in(ORDERS) | pl.col("order").is_null())
    if unknown.height:
        item_id, order = unknown.select("item_id", "order").row(0)
        raise ValueError(f"a judgment of item {item_id} has the order {order!r}: use {', '.join(ORDERS)}")
    wrong = judgments.filter(~pl.col("outcome").is_between(0, 1))
    if wrong.height:
        item_id, outcome = wrong.select("item_id", "outcome").row(0)
        raise ValueError(f"a judgment of item {item_id} has the outcome {outcome}: use values from 0 to 1")
    return judgments
