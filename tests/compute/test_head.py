"""The LM head over pieces of the vocabulary equals whole logits in float64, for every kind of head."""

import pytest
import torch
from transformers import AutoModelForCausalLM, CohereConfig, Gemma2Config, GraniteConfig, LlamaConfig

from preceptor.compute.head import Head
from tests.compute.families import SIZES

# How each head scales the products of hidden states and weights.
HEADS = {
    "plain": (LlamaConfig, {}, lambda products: products),
    "biased": (LlamaConfig, {}, lambda products: products),
    "cohere": (CohereConfig, {"logit_scale": 0.0625}, lambda products: products * 0.0625),
    "granite": (GraniteConfig, {"logits_scaling": 8.0}, lambda products: products / 8),
    "gemma2": (Gemma2Config, {"final_logit_softcapping": 30.0}, lambda products: 30 * (products / 30).tanh()),
}


@pytest.fixture(params=HEADS)
def case(request) -> tuple[Head, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A head, hidden states, targets, and the whole logits in float64."""
    kind, own, scaled = HEADS[request.param]
    torch.manual_seed(0)
    head = Head(AutoModelForCausalLM.from_config(kind(vocab_size=300, **SIZES, **own)))
    head.weight = torch.randn(300, 32)
    head.weight[7] = head.weight[8] = head.weight[299]  # ties, which must not worsen a rank
    bias = torch.zeros(300)
    if request.param == "biased":
        bias = torch.randn(300)
        bias[7] = bias[8] = bias[299]
        head.bias = bias
    hidden, targets = torch.randn(24, 32), torch.arange(0, 300, 13)
    targets[0], targets[1] = 7, 299
    hidden[1] = 4 * head.weight[299]  # certain: only rounding could rank it second
    return head, hidden, targets, scaled(hidden.double() @ head.weight.double().T + bias.double())


def test_statistics_over_pieces_equal_those_of_whole_logits_in_float64(case, monkeypatch):
    monkeypatch.setattr("preceptor.compute.head.POSITIONS_AT_ONCE", 10)
    head, hidden, targets, whole = case
    head.logits_at_once = 10 * 70
    made, logits = [], head.logits
    monkeypatch.setattr(head, "logits", lambda *asked: made.append(logits(*asked)) or made[-1])
    found = head.statistics(hidden, targets)
    assert max(piece.numel() for piece in made) <= 700  # of 7,200 in all

    p = whole.softmax(1)
    own = whole.gather(1, targets.unsqueeze(1))
    rank = 1 + (whole > own + 1e-9).sum(1)
    surprisal = whole.logsumexp(1) - own.squeeze(1)
    entropy = -torch.xlogy(p, p).sum(1)
    expected = torch.stack([surprisal, (-surprisal).exp(), rank, entropy, p.square().sum(1)], 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    assert rank[1] == 1
    assert (found[:, 0] >= 0).all()


def test_a_nan_position_gets_no_number_and_its_neighbours_do(case):
    head, hidden, targets, _ = case
    hidden[2, 0] = torch.nan
    found = head.statistics(hidden, targets)
    assert not found[2, 0].isfinite()
    assert found[3].isfinite().all()


def test_no_positions_have_no_statistics(case):
    head, hidden, targets, _ = case
    assert head.statistics(hidden[:0], targets[:0]).shape == (0, 5)
