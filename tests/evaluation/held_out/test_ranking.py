"""Response ranking: who competes, what is compared, and what is left out."""

import statistics
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from preceptor.compute.conversation import Conversation
from preceptor.compute.loss import LossScorer, ResponseLoss
from preceptor.evaluation.held_out.pairs import Pair
from preceptor.evaluation.held_out.ranking import (
    TRUNCATED,
    RankedItem,
    ranked,
    ranking_conversations,
    ranking_estimates,
    ranking_requests,
)
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.statistics.estimates import NOTHING, Estimate
from tests.conftest import save_language_model


def pair(number: int, response: str | None = None) -> Pair:
    return Pair(f"item{number}", None, (f"say {number}",), (response or f"word {number}",))


def loss(mean: float, tokens: int = 10, response_tokens: int | None = None) -> ResponseLoss:
    return ResponseLoss(response_tokens or tokens, tokens, nll_sum=mean * tokens)


def rank_one(*losses: ResponseLoss) -> RankedItem:
    """The first pair's row, the real response's loss first."""
    pairs = [pair(n) for n in range(len(losses))]
    (row,) = ranked(ranking_requests(pairs, others=len(losses) - 1)[:1], losses)
    return row


def rank_by(pairs: list[Pair], mean_nll) -> list[RankedItem]:
    """Rows under a model whose mean loss is a function of (instruction, response)."""
    requests = ranking_requests(pairs)
    asked = ranking_conversations(requests)
    return ranked(requests, [loss(mean_nll(c.user[0], c.assistant[0])) for c in asked])


TEXTS = st.lists(st.sampled_from(["yes", "no", " no", "2", "a tale", "b", "c", "d"]), min_size=1, max_size=25)


@given(TEXTS, st.integers(1, 4), st.integers(0, 99), st.randoms())
def test_competitors_are_other_items_with_another_text_whatever_the_order(texts, others, seed, random):
    pairs = [pair(n, text) for n, text in enumerate(texts)]
    counted = Counter(text.strip() for text in texts)
    shuffled = random.sample(pairs, len(pairs))
    if len(texts) - max(counted.values()) < others:
        with pytest.raises(BenchmarkError, match=rf"lower 'others' \({others}\) or give more pairs"):
            ranking_requests(pairs, others, seed)
        return
    requests = ranking_requests(pairs, others, seed)
    for asked, real in zip(requests, pairs, strict=True):
        responses = [conversation.assistant[0] for conversation in asked.conversations]
        assert len(set(asked.others)) == others == len(responses) - 1
        assert responses[0] == real.response[0]
        assert real.response[0].strip() not in [text.strip() for text in responses[1:]]
        assert {c.user for c in asked.conversations} == {real.user}
    assert {r.item_id: r for r in ranking_requests(shuffled, others, seed)} == {
        r.item_id: r for r in requests
    }


def test_every_other_item_is_drawn_about_equally_often():
    # 2,000 seeds draw 2 of 8: each 500 times, standard deviation √(2000 · 1/4 · 3/4) = 19.4; 4 of them.
    pairs = [pair(n) for n in range(9)]
    drawn = Counter(other for seed in range(2000) for other in ranking_requests(pairs, 2, seed)[0].others)
    assert len(drawn) == 8
    assert all(abs(times - 500) < 4 * 19.4 for times in drawn.values())


def test_items_and_seeds_have_draws_of_their_own():
    # Two draws of 5 of 98 agree once in some 68 million times.
    pairs = [pair(n) for n in range(100)]
    first, second = (ranking_requests(pairs, 5, seed)[:2] for seed in (0, 1))
    assert len({request.others for request in (*first, *second)}) == 4


def test_work_that_goes_on_after_a_stop_compares_the_same_as_work_in_one_go():
    pairs = [pair(n) for n in range(12)]
    generator = np.random.default_rng(0)
    table = {(p.user[0], q.response[0]): generator.normal() for p in pairs for q in pairs}
    whole = rank_by(pairs, lambda instruction, response: table[instruction, response])
    missing = [request for request in ranking_requests(pairs) if request.item_id in ("item3", "item7")]
    losses = [loss(table[c.user[0], c.assistant[0]]) for c in ranking_conversations(missing)]
    assert ranked(missing, losses) == [whole[3], whole[7]]


def test_filtered_and_many_turned_pairs_are_rows_with_a_reason_and_no_competitors():
    empty = Pair("empty", None, ("Q",), ("",), "response 1 of 1 is empty")
    turns = Pair("turns", None, ("Q", "R"), ("a", "b"))
    requests = ranking_requests([empty, turns, *(pair(n) for n in range(4))], others=3)
    assert [len(request.conversations) for request in requests] == [0, 0, 4, 4, 4, 4]
    assert not {"empty", "turns"} & {other for request in requests for other in request.others}
    rows = ranked(requests, [loss(1.0)] * 16)
    why = "has 2 turns: a random response can only answer one"
    assert rows[:2] == [
        RankedItem("empty", filtered=empty.filtered, error=empty.filtered),
        RankedItem("turns", filtered=why, error=why),
    ]
    found = ranking_estimates(rows)["normalised"]
    assert (found.items, found.pairs, found.left_out_items, found.left_out_pairs) == (4, 12, 2, 0)


def test_length_changes_who_wins():
    # The real response: 2 nats a token over 10 tokens, 20 in all. Others: (mean, sum) of (3, 6), (1, 40).
    row = rank_one(loss(2.0), loss(3.0, 2), loss(1.0, 40))
    assert row.measures == {
        "normalised": 0.5,  # 2 < 3, 2 > 1
        "raw": 0.5,  # 20 > 6, 20 < 40
        "normalised_pairs": 2,
        "raw_pairs": 2,
        "truncated_pairs": 0,
        "failed_pairs": 0,
    }
    assert rank_one(loss(2.0), loss(3.0, 2)).measures["raw"] == 0
    assert rank_one(loss(2.0), loss(3.0, 2)).measures["normalised"] == 1


def test_a_tie_counts_half():
    row = rank_one(loss(2.0), loss(2.0), loss(3.0), loss(1.0), loss(3.0))
    assert row.measures["normalised"] == row.measures["raw"] == (1 / 2 + 1 + 0 + 1) / 4


def test_a_truncated_response_has_no_sequence_probability_but_a_mean():
    # 30 nats over the 10 tokens that were scored of 20: a mean of 3, not of 1.5.
    row = rank_one(loss(2.0), loss(3.0, 10, response_tokens=20), loss(1.0))
    assert (row.measures["normalised"], row.measures["normalised_pairs"]) == (0.5, 2)
    assert (row.measures["raw"], row.measures["raw_pairs"], row.measures["truncated_pairs"]) == (0, 1, 1)
    assert row.left_out == (TRUNCATED,)
    found = ranking_estimates([row])
    assert (found["normalised"].left_out_pairs, found["raw"].left_out_pairs) == (0, 1)


def test_an_item_whose_real_response_is_truncated_has_no_raw_share():
    row = rank_one(loss(2.0, 10, response_tokens=11), loss(3.0), loss(1.0))
    assert "raw" not in row.measures
    assert row.measures["truncated_pairs"] == 2
    found = ranking_estimates([row])["raw"]
    assert (found.estimate, found.items, found.left_out_items) == (Estimate(error=NOTHING), 0, 1)


def test_losses_of_other_requests_are_refused():
    with pytest.raises(ValueError, match="12 responses need 12 losses, not 11"):
        ranked(ranking_requests([pair(n) for n in range(4)], others=2), [loss(1.0)] * 11)


def test_an_items_log_likelihoods_are_those_of_plain_transformers(base_model):
    pairs = [pair(0, "the answer"), pair(1, "another and longer answer"), pair(2, "no")]
    requests = ranking_requests(pairs, others=2)
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32).eval()

    def log_likelihoods(conversation: Conversation) -> list[float]:
        """log p of each token of the response and of the end behind it."""
        prompt = f"<|bos|><|user|>\n{conversation.user[0]}\n<|assistant|>\n"
        before = tokenizer(prompt, add_special_tokens=False).input_ids
        after = tokenizer(conversation.assistant[0] + "<|eos|>", add_special_tokens=False).input_ids
        with torch.no_grad():
            log_p = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        return [log_p[len(before) - 1 + n, token].item() for n, token in enumerate(after)]

    asked = ranking_conversations(requests)
    scorer = LossScorer(base_model, include_end_of_turn=True, unconditional=False, device="cpu")
    losses = scorer.score(asked)
    expected = [log_likelihoods(conversation) for conversation in asked]
    for found, tokens in zip(losses, expected, strict=True):
        assert -found.nll_sum == pytest.approx(sum(tokens), abs=1e-4)
        assert found.tokens == len(tokens)
    row = ranked(requests, losses)[0]
    real, *others = expected[:3]
    assert row.measures["raw"] == sum(sum(real) > sum(other) for other in others) / 2
    wins = sum(statistics.fmean(real) > statistics.fmean(other) for other in others)
    assert row.measures["normalised"] == wins / 2


def test_a_response_that_no_token_remains_of_is_an_error_row_and_the_rest_goes_on(tmp_path):
    folder = save_language_model(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("☠", "")
    tokenizer.save_pretrained(folder)
    requests = ranking_requests([pair(0), pair(1, "☠☠"), pair(2), pair(3)], others=3)  # all against all
    losses = LossScorer(folder, unconditional=False, device="cpu").score(ranking_conversations(requests))
    rows = ranked(requests, losses)
    assert [row.error is None for row in rows] == [True, False, True, True]
    assert rows[1].error.startswith("the real response cannot be scored: the response has no token")
    for row in (rows[0], rows[2], rows[3]):
        assert (row.measures["normalised_pairs"], row.measures["failed_pairs"]) == (2, 1)
        assert row.left_out[0].startswith("the random response cannot be scored: the response has no token")
    found = ranking_estimates(rows)["normalised"]
    assert (found.items, found.pairs, found.left_out_items, found.left_out_pairs) == (3, 6, 1, 3)


def test_an_item_none_of_whose_competitors_can_be_scored_is_an_error_row():
    failed = ResponseLoss(error="out of memory")
    assert rank_one(loss(1.0), failed, failed) == RankedItem(
        "item0", error="no other response can be scored: out of memory"
    )


def test_a_model_that_knows_the_real_responses_wins_every_pair():
    pairs = [pair(n) for n in range(40)]
    real = {(p.user[0], p.response[0]) for p in pairs}
    rows = rank_by(pairs, lambda *asked: 1.0 if asked in real else 2.0)
    for found in ranking_estimates(rows).values():
        assert (found.estimate.value, found.items, found.pairs) == (1.0, 40, 200)


def test_a_model_of_chance_wins_half_within_its_interval():
    generator = np.random.default_rng(1)
    rows = rank_by([pair(n) for n in range(300)], lambda *asked: generator.normal())
    found = ranking_estimates(rows)["normalised"].estimate
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.12
