"""Response ranking and held-out loss on real Alpaca rows and real weights, which know stories only."""

import math

import pytest

from preceptor.compute.loss import LossScorer
from preceptor.evaluation.held_out.loss import item_losses, loss_estimates
from preceptor.evaluation.held_out.pairs import conversations, read_pairs
from preceptor.evaluation.held_out.ranking import (
    compare,
    ranked,
    ranking_conversations,
    ranking_estimates,
    ranking_requests,
)
from preceptor.study.conversations import Conversations
from tests.conftest import REAL_DATA

ALPACA = REAL_DATA / "alpaca" / "alpaca_5000.json.gz"
MODEL = REAL_DATA.parent / "models" / "stories260k"
pytestmark = pytest.mark.skipif(
    not (ALPACA.exists() and MODEL.exists()), reason=f"no {ALPACA} or no weights at {MODEL}"
)
ITEMS = 60


def scorer() -> LossScorer:
    return LossScorer(
        str(MODEL), prompt_format="tulu", include_end_of_turn=True, unconditional=False, device="cpu"
    )


def test_all_alpaca_rows_are_pairs_and_the_two_empty_responses_say_so():
    pairs = read_pairs(Conversations(path=str(ALPACA), format="alpaca"))
    requests = ranking_requests(pairs)
    assert len(pairs) == len(requests) == 5000
    assert sum(pair.filtered is not None for pair in pairs) == 2
    assert len(ranking_conversations(requests)) == 6 * 4998


def test_real_rows_have_finite_shares_and_every_pair_is_accounted_for():
    requests = ranking_requests(read_pairs(Conversations(path=str(ALPACA), format="alpaca", limit=ITEMS)))
    rows = ranked(requests, scorer().score(ranking_conversations(requests)))
    assert [row.error for row in rows] == [None] * ITEMS
    for found in ranking_estimates(rows).values():
        assert 0 <= found.estimate.low <= found.estimate.value <= found.estimate.high <= 1
        assert found.estimate.low < found.estimate.high
    raw = ranking_estimates(rows)["raw"]
    unranked = sum(row.measures["truncated_pairs"] for row in rows if "raw" not in row.measures)
    assert raw.pairs + raw.left_out_pairs + unranked == 5 * ITEMS
    assert compare(rows, rows)["normalised"].estimate.value == 0


def test_a_story_models_loss_on_instructions_is_below_that_of_guessing():
    # The models' vocabulary has 512 tokens: ln 512 = 6.24 nats for a uniform guess.
    pairs = read_pairs(Conversations(path=str(ALPACA), format="alpaca", limit=ITEMS))
    found = loss_estimates(item_losses(pairs, scorer().score(conversations(pairs))))
    weighted, perplexity = found.metrics["token_weighted_loss"], found.metrics["perplexity"]
    assert (found.items, found.left_out) == (ITEMS, 0)
    assert 0 < weighted.low < weighted.value < math.log(512)
    assert perplexity.value == pytest.approx(math.exp(weighted.value))
