"""Held-out loss and perplexity of responses that the model was not tuned on.

InstructMining minimises the mean response-token loss on held-out pairs (arXiv 2307.06290).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from preceptor.evaluation.held_out.pairs import Pair
from preceptor.statistics.clusters import clustered, ratio
from preceptor.statistics.estimates import NOTHING, Estimate

if TYPE_CHECKING:
    from preceptor.compute.loss import ResponseLoss

METHODS = {
    "held_out_loss": "mean over items of the mean token NLL, in nats; 1.96 standard errors",
    "token_weighted_loss": (
        "sum of NLL / number of tokens, in nats; 1.96 linearised standard errors of the ratio, by item"
    ),
    "perplexity": "exp of the token-weighted loss and of the ends of its interval",
}
LARGEST_EXPONENT = 700.0  # nats: exp(710) overflows


@dataclass(frozen=True)
class ItemLoss:
    """A pair's measures `mean_nll` and `nll_sum` in nats, `tokens`, and `truncated` (1 if it was cut).

    Without measures, `error` gives the reason. `filtered` repeats it if the pair was left out on purpose.
    """

    item_id: str
    measures: dict[str, float] = field(default_factory=dict)
    filtered: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class LossEstimates:
    """The metrics of METHODS, with the numbers of items, tokens, truncated items and left-out items."""

    metrics: dict[str, Estimate]
    items: int
    tokens: int
    truncated: int
    left_out: int


def item_losses(pairs: Sequence[Pair], losses: Sequence["ResponseLoss"]) -> list[ItemLoss]:
    """One row for each pair, in order, from the losses of `conversations(pairs)`.

    Raises ValueError if the number of losses differs from the number of unfiltered pairs.
    """
    asked = sum(pair.filtered is None for pair in pairs)
    if len(losses) != asked:
        raise ValueError(f"{asked} pairs need {asked} losses, not {len(losses)}: score conversations(pairs)")
    remaining = iter(losses)
    return [
        ItemLoss(pair.item_id, filtered=pair.filtered, error=pair.filtered)
        if pair.filtered is not None
        else _item_loss(pair.item_id, next(remaining))
        for pair in pairs
    ]


def loss_estimates(rows: Sequence[ItemLoss]) -> LossEstimates:
    """Held-out loss (the mean over items, CAR's L), token-weighted loss and perplexity, with intervals."""
    measured = [row.measures for row in rows if row.measures]
    tokens = [measures["tokens"] for measures in measured]
    return LossEstimates(
        _metrics(measured),
        items=len(measured),
        tokens=int(sum(tokens)),
        truncated=int(sum(measures["truncated"] for measures in measured)),
        left_out=len(rows) - len(measured),
    )


def _item_loss(item_id: str, loss: "ResponseLoss") -> ItemLoss:
    if loss.nll_sum is None:
        return ItemLoss(item_id, error=f"the response cannot be scored: {loss.error}")
    measures = {
        "mean_nll": loss.nll_sum / loss.tokens,
        "nll_sum": loss.nll_sum,
        "tokens": float(loss.tokens),
        "truncated": float(loss.tokens < loss.response_tokens),
    }
    return ItemLoss(item_id, measures)


def _metrics(measured: Sequence[dict[str, float]]) -> dict[str, Estimate]:
    if not measured:
        return dict.fromkeys(METHODS, Estimate(error=NOTHING))
    means, sums, tokens = ([row[name] for row in measured] for name in ("mean_nll", "nll_sum", "tokens"))
    by_item, by_token = ratio(means, np.ones(len(means))), ratio(sums, tokens)
    weighted = clustered(by_token.value, by_token.deviations, lowest=0.0)
    return {
        "held_out_loss": clustered(by_item.value, by_item.deviations, lowest=0.0),
        "token_weighted_loss": weighted,
        "perplexity": _exponential(weighted),
    }


def _exponential(loss: Estimate) -> Estimate:
    """The exponential of an estimate. It is monotone, so the interval's ends are exponentials too."""
    worst = max(end for end in (loss.value, loss.high) if end is not None)
    if worst > LARGEST_EXPONENT:
        return Estimate(error=f"exp({worst:.0f}) is not finite: the loss is too high for a perplexity")
    value, low, high = (None if end is None else math.exp(end) for end in (loss.value, loss.low, loss.high))
    return Estimate(value, low, high)
