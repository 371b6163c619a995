"""Response ranking: how often the real response is likelier than another instruction's.

P[p(response | instruction) > p(random response | instruction)] of Hewitt, Liu, Manning and Liang (arXiv
2409.14254, section 4, Table 2). Their equation 3 compares the probabilities of sequences. Their code compares
exp(-mean token loss), including each response's end token. Both are measured here, as `raw` and `normalised`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.held_out.pairs import Pair
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.statistics.clusters import Ratio, clustered, ratio, same
from preceptor.statistics.differences import mean_difference
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.text import digest

if TYPE_CHECKING:
    from preceptor.compute.loss import ResponseLoss

METHOD = "share of (real, random) pairs in which the real response has the higher {}; interval: {}"
INTERVAL = "1.96 standard errors clustered by item, Wilson's where items do not vary"
METHODS = {
    "normalised": METHOD.format("mean token log-likelihood, ties half", INTERVAL),
    "raw": METHOD.format("sequence log-likelihood, ties half, where none was truncated", INTERVAL),
}
TRUNCATED = "not ranked raw: a response was cut to the context, and a part's probability is not the whole's"


@dataclass(frozen=True)
class RankingRequest:
    """Responses to an item's instruction: the real one first, then those of the items in `others`.

    A filtered item has none.
    """

    item_id: str
    others: tuple[str, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    filtered: str | None = None


@dataclass(frozen=True)
class RankedItem:
    """The shares of others that an item's real response beats, and the reasons for left-out pairs.

    `measures` has the shares `normalised` and `raw`, their numbers of pairs `normalised_pairs` and
    `raw_pairs`, and the numbers of `truncated_pairs` (left out of raw) and `failed_pairs` (left out of both).
    A share without pairs is absent. Without measures, `error` gives the reason. `filtered` repeats it if the
    item was left out on purpose.
    """

    item_id: str
    measures: dict[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    filtered: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Likelihood:
    """A response's log-likelihood in nats, in total and per token, and whether all tokens were scored."""

    sequence: float
    per_token: float
    whole: bool


@dataclass(frozen=True)
class RankingEstimate:
    """A share or a difference of shares, with its numbers of items, pairs and left-out ones."""

    estimate: Estimate
    items: int
    pairs: int
    left_out_items: int
    left_out_pairs: int  # of items that count


def ranking_requests(pairs: Sequence[Pair], others: int = 5, seed: int = 0) -> list[RankingRequest]:
    """The responses to score, one request for each pair, in order. Tuned model and base use the same.

    The others are distinct items, drawn by (seed, item_id, all items), whose text differs from the real one.
    Raises BenchmarkError if an item has fewer than `others` of them.
    """
    pool = sorted((p for p in pairs if _unrankable(p) is None), key=lambda pair: pair.item_id)
    texts = Counter(map(_text, pool))
    for pair in pool:
        if (there := len(pool) - texts[_text(pair)]) < others:
            raise BenchmarkError(
                f"response ranking, item {pair.item_id} ({pair.user[0][:60]!r}): only {there} other responses"
                f" differ from its own: lower 'others' ({others}) or give more pairs"
            )
    return [_request(pair, pool, others, seed) for pair in pairs]


def ranking_conversations(requests: Iterable[RankingRequest]) -> list[Conversation]:
    """The conversations to score: the requests' responses in order."""
    return [conversation for request in requests for conversation in request.conversations]


def ranked(requests: Sequence[RankingRequest], losses: Sequence["ResponseLoss"]) -> list[RankedItem]:
    """One row for each request, in order, from the losses of `ranking_conversations(requests)`.

    Raises ValueError if the number of losses differs from the number of the requests' responses.
    """
    asked = sum(len(request.conversations) for request in requests)
    if len(losses) != asked:
        raise ValueError(
            f"{asked} responses need {asked} losses, not {len(losses)}: score ranking_conversations(requests)"
        )
    remaining = iter(losses)
    return [_ranked(request, list(islice(remaining, len(request.conversations)))) for request in requests]


def ranking_estimates(rows: Sequence[RankedItem]) -> dict[str, RankingEstimate]:
    """The shares of METHODS over all pairs. Pairs of one item share its real response, so items are clusters.

    The intervals are somewhat too wide. A likely response wins as the real one and makes others lose as a
    random one, and clusters by item ignore this negative correlation.
    """
    return {measure: _share(measure, rows) for measure in METHODS}


def compare(base: Sequence[RankedItem], tuned: Sequence[RankedItem]) -> dict[str, RankingEstimate]:
    """Tuned - base share over items that both ranked with equal numbers of pairs, clustered by item.

    Raises ValueError if the two have different items.
    """
    by_id = {row.item_id: row for row in tuned}
    if len(base) != len(tuned) or by_id.keys() != {row.item_id for row in base}:
        raise ValueError(
            "base and tuned model were ranked on different items: score both on the same requests"
        )
    return {measure: _difference(measure, [(row, by_id[row.item_id]) for row in base]) for measure in METHODS}


def _unrankable(pair: Pair) -> str | None:
    if pair.filtered is None and len(pair.user) > 1:
        return f"has {len(pair.user)} turns: a random response can only answer one"
    return pair.filtered


def _text(pair: Pair) -> str:
    return pair.response[0].strip()


def _drawn(pair: Pair, pool: Sequence[Pair], others: int, seed: int) -> list[Pair]:
    """Draw by hashes, so that draws are equal on every machine and do not depend on the other requests."""
    drawn: dict[str, Pair] = {}
    for number in count():
        if len(drawn) == others:
            break
        other = pool[int(digest(str(seed), pair.item_id, str(number)), 16) % len(pool)]
        if _text(other) != _text(pair):
            drawn[other.item_id] = other
    return list(drawn.values())


def _request(pair: Pair, pool: Sequence[Pair], others: int, seed: int) -> RankingRequest:
    if (why := _unrankable(pair)) is not None:
        return RankingRequest(pair.item_id, filtered=why)
    drawn = _drawn(pair, pool, others, seed)
    responses = [pair.response, *(other.response for other in drawn)]
    return RankingRequest(
        pair.item_id,
        tuple(other.item_id for other in drawn),
        tuple(Conversation(pair.system, pair.user, response) for response in responses),
    )


def _ranked(request: RankingRequest, losses: Sequence["ResponseLoss"]) -> RankedItem:
    if request.filtered is not None:
        return RankedItem(request.item_id, filtered=request.filtered, error=request.filtered)
    real, *others = map(_likelihood, losses)
    if real is None:
        return RankedItem(request.item_id, error=f"the real response cannot be scored: {losses[0].error}")
    scored = [other for other in others if other is not None]
    if not scored:
        return RankedItem(request.item_id, error=f"no other response can be scored: {losses[1].error}")
    errors = [loss.error for loss in losses[1:] if loss.nll_sum is None]
    measures = _measures(real, scored, len(errors))
    left_out = [f"the random response cannot be scored: {error}" for error in errors]
    left_out += [TRUNCATED] * int(measures["truncated_pairs"])
    return RankedItem(request.item_id, measures, tuple(left_out))


def _likelihood(loss: "ResponseLoss") -> Likelihood | None:
    if loss.nll_sum is None:
        return None
    return Likelihood(-loss.nll_sum, -loss.nll_sum / loss.tokens, loss.tokens == loss.response_tokens)


def _measures(real: Likelihood, others: Sequence[Likelihood], failed: int) -> dict[str, float]:
    whole = [other.sequence for other in others if real.whole and other.whole]
    raw = {"raw": _beaten(real.sequence, whole)} if whole else {}
    return {
        "normalised": _beaten(real.per_token, [other.per_token for other in others]),
        **raw,
        "normalised_pairs": float(len(others)),
        "raw_pairs": float(len(whole)),
        "truncated_pairs": float(len(others) - len(whole)),
        "failed_pairs": float(failed),
    }


def _beaten(real: float, others: Sequence[float]) -> float:
    """The share of others below the real one. A tie counts half."""
    return sum((real > other) + (real == other) / 2 for other in others) / len(others)


def _share(measure: str, rows: Sequence[RankedItem]) -> RankingEstimate:
    counted = [row for row in rows if measure in row.measures]
    if not counted:
        return RankingEstimate(Estimate(error=NOTHING), 0, 0, len(rows), 0)
    found = _ratio(measure, counted)
    estimate = clustered(found.value, found.deviations, lowest=0.0, highest=1.0)
    return _estimate(estimate, measure, counted, len(rows))


def _difference(measure: str, both: Sequence[tuple[RankedItem, RankedItem]]) -> RankingEstimate:
    common = [pair for pair in both if _comparable(measure, *pair)]
    if not common:
        return RankingEstimate(Estimate(error=NOTHING), 0, 0, len(both), 0)
    base, tuned = (_ratio(measure, rows) for rows in zip(*common, strict=True))
    gain, deviations = tuned.value - base.value, tuned.deviations - base.deviations
    estimate = clustered(gain, deviations, lowest=-1.0, highest=1.0)
    if same(deviations):
        estimate = mean_difference(np.full(len(common), gain))
    return _estimate(estimate, measure, [row for row, _ in common], len(both))


def _comparable(measure: str, base: RankedItem, tuned: RankedItem) -> bool:
    """Whether both have the share, over equal numbers of pairs. Other numbers would mean other pairs."""
    pairs = f"{measure}_pairs"
    return measure in base.measures and base.measures[pairs] == tuned.measures.get(pairs)


def _ratio(measure: str, rows: Sequence[RankedItem]) -> Ratio:
    pairs = np.array([row.measures[f"{measure}_pairs"] for row in rows])
    return ratio(pairs * [row.measures[measure] for row in rows], pairs)


def _estimate(estimate: Estimate, measure: str, counted: Sequence[RankedItem], items: int) -> RankingEstimate:
    causes = ("failed_pairs", "truncated_pairs") if measure == "raw" else ("failed_pairs",)
    pairs = sum(row.measures[f"{measure}_pairs"] for row in counted)
    left_out = sum(row.measures[cause] for row in counted for cause in causes)
    return RankingEstimate(estimate, len(counted), int(pairs), items - len(counted), int(left_out))
