"""For every family, batched passes equal transformers' own logits of one row at a time."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, GraniteMoeHybridConfig

from preceptor.compute import attention
from preceptor.compute.attention import pack
from preceptor.compute.backbone import Backbone
from preceptor.compute.conversation import Conversation
from preceptor.compute.load import ModelError, load_causal_lm
from preceptor.compute.loss import LossScorer
from preceptor.compute.passes import TokenPasses
from tests.compute.families import FAMILIES, reference_varlen, save_family

TEXTS = [[(11 * i + 3 * n) % 250 for i in range(n)] for n in (3, 70, 41, 2, 100)]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory) -> str:
    return save_family(tmp_path_factory.mktemp(request.param), request.param)


def one_by_one(folder: str, texts: list[list[int]]) -> list[torch.Tensor]:
    """Surprisal, entropy, least and largest rank of each token but the first: eager attention, own head.

    The ranks lie apart where other tokens are within 1e-5 nats of the token: rounding decides there.
    """
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    found = []
    for text in texts:
        with torch.no_grad():
            logits = model(torch.tensor([text])).logits[0, :-1].double()
        log_p = logits.log_softmax(-1)
        surprisal = -log_p.gather(1, torch.tensor(text[1:]).unsqueeze(1)).squeeze(1)
        ranks = [1 + (log_p > -surprisal.unsqueeze(1) + room).sum(1) for room in (1e-5, -1e-5)]
        ranks[1] -= 1  # the token itself
        found.append(torch.stack([surprisal, -(log_p.exp() * log_p).sum(1), *ranks], 1))
    return found


def compare(found: dict[int, torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert sorted(found) == list(range(len(expected)))
    for number, theirs in enumerate(expected):
        torch.testing.assert_close(found[number][:, [0, 3]], theirs[:, :2], atol=1e-4, rtol=1e-5)
        rank, least, largest = found[number][:, 2], theirs[:, 2], theirs[:, 3]
        assert ((least <= rank) & (rank <= largest)).all()
        assert (largest == least).double().mean() > 0.9  # few ranks are ambiguous


@pytest.mark.parametrize("tokens_per_batch", [1, 150, 10_000])
def test_padded_passes_equal_one_by_one(family, tokens_per_batch):
    model = load_causal_lm(family, "main", "float32", "cpu")
    passes = TokenPasses(model, "cpu", tokens_per_batch)
    found = {n: s for batch in passes.statistics(dict(enumerate(TEXTS))) for n, s in batch.items()}
    compare(found, one_by_one(family, TEXTS))


def test_a_shared_prompt_changes_only_the_amount_of_work(family):
    prompt = [(5 * i) % 250 for i in range(40)]
    own = (TEXTS[0], TEXTS[1], TEXTS[4][:60])  # the first is too short to be padded to the others
    texts = [prompt + text for text in own] + [[9, *prompt, 7]]
    passes = TokenPasses(load_causal_lm(family, "main", "float32", "cpu"), "cpu", 10_000)
    batches = list(passes.statistics(dict(enumerate(texts)), {0: 40, 1: 40, 2: 40, 3: 41}))
    # LongRoPE does not share prompts: a long row would change their positions too.
    assert passes.facts()["prompt_tokens_shared"] == (40 if passes.longest_common_row is None else 0)
    compare({n: s for batch in batches for n, s in batch.items()}, one_by_one(family, texts))


def test_a_prompt_is_not_shared_if_it_saves_less_than_padding_adds(tmp_path):
    passes = TokenPasses(
        load_causal_lm(save_family(tmp_path, "llama"), "main", "float32", "cpu"), "cpu", 10_000
    )
    prompt = list(range(30))
    like, unlike = [prompt + [n] * 40 for n in (5, 6)], [prompt + [5] * 40, prompt + [6] * 28]
    list(passes.statistics(dict(enumerate(like)), {0: 30, 1: 30}))
    assert passes.facts()["prompt_tokens_shared"] == 30
    passes.begin()
    # 30 tokens saved, 12 padded, of 128
    list(passes.statistics(dict(enumerate(unlike)), {0: 30, 1: 30}))
    assert passes.facts()["prompt_tokens_shared"] == 30
    passes.begin()
    short = [prompt[:12] + [5] * 40, prompt[:12] + [6] * 30]  # 12 saved, 10 padded, of 94
    list(passes.statistics(dict(enumerate(short)), {0: 12, 1: 12}))
    assert passes.facts()["prompt_tokens_shared"] == 0


@pytest.mark.parametrize(
    "name",
    ["varlen", pytest.param("flex_attention", marks=pytest.mark.slow)],  # compiles
)
def test_packed_rows_do_not_see_each_other(family, name, monkeypatch):
    monkeypatch.setattr(attention, "varlen_attn", reference_varlen)
    model = load_causal_lm(family, "main", "float32", "cpu")
    if "longrope" in family:
        pytest.skip("runs rows beyond its original context one at a time")
    if name == "varlen" and model.config.model_type == "gemma2":
        with pytest.raises(ValueError, match="capped attention logits"), torch.inference_mode():
            Backbone(model, "cpu", name).hidden(TEXTS)
        return
    passes = TokenPasses(model, "cpu", 10_000)
    passes.backbone = Backbone(model, "cpu", name)
    found = {n: s for batch in passes.statistics(dict(enumerate(TEXTS))) for n, s in batch.items()}
    compare(found, one_by_one(family, TEXTS))


def test_recurrent_layers_run_every_prompt_for_every_row(tmp_path):
    config = GraniteMoeHybridConfig(
        vocab_size=264,
        hidden_size=32,
        intermediate_size=48,
        shared_intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        layer_types=["mamba", "attention"],
        mamba_n_heads=4,
        mamba_d_head=16,
        mamba_d_state=8,
        mamba_n_groups=1,
        num_local_experts=0,
        num_experts_per_tok=0,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    passes = TokenPasses(load_causal_lm(str(tmp_path), "main", "float32", "cpu"), "cpu", 10_000)
    texts = [TEXTS[2] + text for text in TEXTS[:2]]
    found = passes.statistics(dict(enumerate(texts)), dict.fromkeys(range(2), len(TEXTS[2])))
    compare({n: s for batch in found for n, s in batch.items()}, one_by_one(str(tmp_path), texts))
    assert passes.facts()["prompt_tokens_shared"] == 0


def test_dynamic_rope_is_refused(tmp_path):
    folder = save_family(tmp_path, "llama")
    config = json.loads((tmp_path / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="rope_type 'dynamic'"):
        LossScorer(folder)


def test_packing_marks_where_rows_end():
    packed = pack([[5, 6, 7], [8], [9, 10]], "cpu")
    assert packed["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10]]
    assert packed["position_ids"].tolist() == [[0, 1, 2, 0, 0, 1]]
    assert packed["cu_seq_lens_q"].tolist() == [0, 3, 4, 6]


def test_an_unknown_head_is_refused(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(save_family(tmp_path, "llama")).eval()
    forward = model.forward

    def doubled(*arguments, **named):
        output = forward(*arguments, **named)
        output.logits = output.logits * 2
        return output

    model.forward = doubled
    with pytest.raises(ModelError, match="does not support this architecture"):
        TokenPasses(model, "cpu", 100)


def test_bfloat16_losses_are_near_float32_ones(family):
    # Stated in docs/tables.md: the mean NLL of a response moves by less than 2 % in bfloat16.
    rows = [
        Conversation(None, ("What is it?",), (f"It is number {n} of the rain there. " * 2,)) for n in range(6)
    ]
    exact, rounded = (
        LossScorer(family, dtype=dtype, unconditional=False).score(rows) for dtype in ("float32", "bfloat16")
    )
    for a, b in zip(exact, rounded, strict=True):
        assert b.nll_sum == pytest.approx(a.nll_sum, rel=0.02)


def test_the_chosen_backbone_is_padded_on_a_cpu(family):
    assert not TokenPasses(load_causal_lm(family, "main", "float32", "cpu"), "cpu", 100).backbone.packed
