"""Held-out loss against transformers' own loss, its estimates against closed forms."""

import math

import pytest
import torch
from tokenizers import normalizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from preceptor.compute.loss import LossScorer, ResponseLoss
from preceptor.evaluation.held_out.loss import METHODS, ItemLoss, item_losses, loss_estimates
from preceptor.evaluation.held_out.pairs import Pair, conversations
from preceptor.statistics.estimates import NOTHING, Estimate
from tests.conftest import save_language_model

PAIRS = [
    Pair("a", None, ("What is the capital?",), ("The capital is there.",)),
    Pair("b", None, ("Hi",), ("",), "response 1 of 1 is empty"),
    Pair("c", None, ("Say more",), ("a rather longer answer than the other one",)),
]


def scored(folder: str, pairs: list[Pair], **settings) -> list[ItemLoss]:
    scorer = LossScorer(folder, unconditional=False, device="cpu", **settings)
    return item_losses(pairs, scorer.score(conversations(pairs)))


def labelled_loss(folder: str, pair: Pair) -> tuple[float, int]:
    """Mean loss of the response's tokens and their number, by transformers' own labels."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = tokenizer(
        f"<|bos|><|user|>\n{pair.user[0]}\n<|assistant|>\n", add_special_tokens=False
    ).input_ids
    response = tokenizer(pair.response[0], add_special_tokens=False).input_ids
    labels = torch.tensor([[-100] * len(prompt) + response])
    with torch.no_grad():
        return model(torch.tensor([prompt + response]), labels=labels).loss.item(), len(response)


def loss(nll: float, tokens: int, response_tokens: int | None = None) -> ResponseLoss:
    return ResponseLoss(response_tokens=response_tokens or tokens, tokens=tokens, nll_sum=nll)


def rows(*losses: ResponseLoss) -> list[ItemLoss]:
    return item_losses([Pair(str(n), None, ("Q",), ("A",)) for n in range(len(losses))], losses)


def test_an_items_loss_is_the_one_that_transformers_computes_from_labels(base_model):
    found = scored(base_model, PAIRS)
    assert [row.item_id for row in found] == ["a", "b", "c"]
    for row, pair in ((found[0], PAIRS[0]), (found[2], PAIRS[2])):
        expected, tokens = labelled_loss(base_model, pair)
        assert row.measures["mean_nll"] == pytest.approx(expected, abs=1e-4)
        assert (row.measures["tokens"], row.measures["truncated"]) == (tokens, 0)


def test_a_filtered_pair_is_a_row_that_says_why(base_model):
    assert scored(base_model, PAIRS)[1] == ItemLoss("b", {}, PAIRS[1].filtered, PAIRS[1].filtered)


def test_a_response_that_no_token_remains_of_is_an_error_row_and_the_rest_goes_on(tmp_path):
    folder = save_language_model(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("☠", "")
    tokenizer.save_pretrained(folder)
    poisoned = Pair("p", None, ("Q",), ("☠☠",))
    first, bad, last = scored(folder, [PAIRS[0], poisoned, PAIRS[2]])
    assert bad.measures == {}
    assert bad.error == "the response cannot be scored: the response has no token that the base can predict"
    assert first.measures["mean_nll"] == pytest.approx(labelled_loss(folder, PAIRS[0])[0], abs=1e-4)
    assert last.error is None
    estimates = loss_estimates([first, bad, last])
    assert (estimates.items, estimates.left_out) == (2, 1)


def test_a_response_that_does_not_fit_is_scored_in_part_and_counted(base_model):
    long = Pair("l", None, ("Q",), ("x" * 500,))
    found = scored(base_model, [PAIRS[0], long])
    assert found[1].measures["truncated"] == 1
    assert found[1].measures["tokens"] < 128  # the model's context
    assert loss_estimates(found).truncated == 1


def test_losses_of_other_pairs_are_refused():
    with pytest.raises(ValueError, match="2 pairs need 2 losses, not 3"):
        item_losses(PAIRS, [loss(1, 1)] * 3)


def test_the_mean_over_items_and_the_token_weighted_mean_differ_as_they_should():
    # Means 2, 3, 4 over 30, 10, 10 tokens: 3 by item; (60 + 30 + 40) / 50 = 2.6 by token.
    found = loss_estimates(rows(loss(60, 30), loss(30, 10), loss(40, 10)))
    assert list(found.metrics) == list(METHODS)
    by_item, by_token, perplexity = found.metrics.values()
    assert (found.items, found.tokens, found.left_out) == (3, 50, 0)
    margin = 1.96 * math.sqrt((1 + 0 + 1) / 2 / 3)  # deviations -1, 0, 1
    assert (by_item.value, by_item.low, by_item.high) == pytest.approx((3, 3 - margin, 3 + margin))
    # NLL minus 2.6 a token: 60 - 78, 30 - 26, 40 - 26, each over 50 tokens.
    margin = 1.96 * math.sqrt(3 / 2 * (18**2 + 4**2 + 14**2)) / 50
    assert (by_token.value, by_token.low, by_token.high) == pytest.approx((2.6, 2.6 - margin, 2.6 + margin))
    ends = (math.exp(2.6), math.exp(2.6 - margin), math.exp(2.6 + margin))
    assert (perplexity.value, perplexity.low, perplexity.high) == pytest.approx(ends)


def test_a_uniform_model_has_the_vocabularys_size_as_perplexity():
    nats = math.log(50_257)
    perplexity = loss_estimates(rows(loss(7 * nats, 7), loss(100 * nats, 100))).metrics["perplexity"]
    assert perplexity.value == pytest.approx(50_257)
    assert (perplexity.low, perplexity.high) == (None, None)  # losses have no upper end: nothing tells chance


def test_the_token_weighted_interval_covers_where_lengths_and_losses_go_together():
    # Exponential lengths of mean 60; a token costs 2 + 20/length nats and noise: in expectation, by
    # linearity, 2 + 20 / 60 nats a token. 400 times 80 items: 3 standard errors around 95 % are 92 to 98 %,
    # and a little is lost to linearisation.
    generator = torch.Generator().manual_seed(0)
    lengths = torch.empty(400, 80, dtype=torch.float64).exponential_(1 / 60, generator=generator) + 1e-9
    noise = torch.randn(400, 80, dtype=torch.float64, generator=generator)
    sums = 2 * lengths + 20 + 0.5 * lengths * noise
    covered = 0
    for length, nll in zip(lengths.tolist(), sums.tolist(), strict=True):
        measures = [
            {"mean_nll": y / x, "nll_sum": y, "tokens": x, "truncated": 0}
            for x, y in zip(length, nll, strict=True)
        ]
        found = loss_estimates([ItemLoss("", row) for row in measures]).metrics["token_weighted_loss"]
        covered += found.low <= 2 + 20 / 60 <= found.high
    assert 0.90 < covered / 400 < 0.98


def test_one_item_has_values_but_no_interval():
    metrics = loss_estimates(rows(loss(6, 3))).metrics
    assert list(metrics.values()) == [Estimate(2.0), Estimate(2.0), Estimate(math.exp(2))]


def test_no_scored_item_is_an_error_in_every_metric():
    found = loss_estimates(item_losses(PAIRS[1:2], []))
    assert found.metrics == dict.fromkeys(METHODS, Estimate(error=NOTHING))
    assert (found.items, found.tokens, found.left_out) == (0, 0, 1)


def test_a_loss_too_high_for_a_perplexity_says_so_and_stays_a_loss():
    metrics = loss_estimates(rows(loss(800, 1), loss(800, 1))).metrics
    assert metrics["held_out_loss"].value == 800
    assert metrics["perplexity"].value is None
    assert "exp(800)" in metrics["perplexity"].error
