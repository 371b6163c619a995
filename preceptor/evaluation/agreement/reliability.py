"""How far a judge can be relied on: the same in both orders, the same each time, the same as people."""

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
    """How much the place of an answer decides, over n items with pairs judged in both orders.

    `estimate` runs from -1 (always the second wins) over 0 (the order does not matter) to 1 (always the
    first); `flips` is the share of pairs won in one order and lost in the other. `pairs` were judged in both
    orders, `left_out` in one only or without success.
    """

    estimate: Estimate
    flips: Estimate
    n: int
    pairs: int
    left_out: int


@dataclass(frozen=True)
class SelfConsistency:
    """The chance that two draws of the same judgment are on the same side of 0.5, over n items.

    `left_out` items have no two draws with an outcome in the same order.
    """

    estimate: Estimate
    n: int
    left_out: int


def position_bias(judgments: pl.DataFrame) -> PositionBias:
    """Mean of the outcome with the response shown first - the outcome with it shown second.

    `judgments` has the columns item_id, sample, order, draw and outcome (0 to 1 from the tuned model's view,
    null if failed). Draws are averaged, then an item's samples. Judgments of a response alone do not count.
    Raises ValueError for an order or outcome that cannot be.
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
    """The bias of `position_bias` where each item was judged in one order, drawn at random; and its items.

    Mean outcome of the items whose response was shown first - that of those whose reference was, with
    the interval of `difference_of`. Raises ValueError for an order or outcome that cannot be.
    """
    shown = _checked(judgments).drop_nulls("outcome").group_by("order", "item_id", maintain_order=True)
    items = shown.agg(pl.col("outcome").mean())
    ours, theirs = (items.filter(order=order)["outcome"] for order in (RESPONSE_FIRST, REFERENCE_FIRST))
    first, second = mean_share(ours), mean_share(theirs)
    if first.value is None or second.value is None:
        return Estimate(error="no item has an outcome in one of the orders"), items.height
    return difference_of(first, second), items.height


def self_consistency(judgments: pl.DataFrame) -> SelfConsistency:
    """Share of pairs of draws, of the same response in the same order, that agree; averaged over items.

    Columns as for `position_bias`. An outcome of exactly 0.5 is a side of its own. Raises ValueError for an
    order or outcome that cannot be.
    """
    sides = _checked(judgments).with_columns(label=label_of(pl.col("outcome"))).drop_nulls("label")
    items = agreement_by_item(agreement_of_pairs(sides, SHOWING))
    left_out = judgments["item_id"].n_unique() - len(items)
    return SelfConsistency(mean_share(items), len(items), left_out)


def human_agreement(judgments: pl.DataFrame, labels: pl.DataFrame, seed: int) -> LabelAgreement:
    """Hold a judge's verdicts (as first) against people's labels (as second) of the same items.

    `judgments` as for `position_bias`, `labels` with item_id and label (win, tie or lose, from the tuned
    model's view; null is not judged). The verdict on an item is the side of 0.5 of its mean outcome, draws
    averaged before orders and samples, so that no order weighs more for having more draws. A response with
    no outcome in one of its orders does not count: half a comparison carries the judge's bias.
    Raises ValueError for an order, outcome or label that cannot be, and for an item with two labels.
    """
    shown = _checked(judgments).sort(*SHOWING, "draw").group_by(SHOWING, maintain_order=True)
    whole = pl.col("outcome").is_not_null().all().over("item_id", "sample")
    means = shown.agg(pl.col("outcome").mean()).filter(whole)
    verdicts = means.group_by("item_id", maintain_order=True)
    verdict = label_of(pl.col("outcome").mean()).alias("label")
    return label_agreement(verdicts.agg(verdict), labels, seed)


def _both_orders(judgments: pl.DataFrame) -> pl.DataFrame:
    """A row a response that was shown beside its reference: its mean outcome in both orders, null if none."""
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
        raise ValueError(f"a judgment of item {item_id} has the outcome {outcome}: outcomes are 0 to 1")
    return judgments
