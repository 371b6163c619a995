"""The loss scorer equals an independent one that uses single rows, plain log-softmax and Python loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from preceptor.compute.conversation import Conversation
from preceptor.compute.head import token_statistics
from preceptor.compute.loss import LossScorer
from tests.conftest import save_language_model


def by_hand(folder: str, prompt: str, response: str, context: int) -> dict[str, float]:
    """NLL and the other sums, by the rules in design.md, without the code under test."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    encoded = tokenizer(prompt + response, add_special_tokens=False, return_offsets_mapping=True)
    ids = encoded["input_ids"]
    first = next(i for i, (_, end) in enumerate(encoded["offset_mapping"]) if end > len(prompt))
    before, after = ids[:first], ids[first:]
    if len(ids) > context:
        kept = min(first, context // 2)
        bos = [before[0]] if before[0] == tokenizer.bos_token_id and kept < first else []
        before = bos + before[first - kept + len(bos) :]
        after = after[: context - kept]
    with torch.no_grad():
        log_p = model(torch.tensor([before + after])).logits[0].double().log_softmax(-1)
    sums = dict.fromkeys(("tokens", "nll", "p", "rank", "rank50", "entropy", "square", "prompt"), 0.0)
    for position, token in enumerate(before + after):
        if position == 0:
            continue
        row = log_p[position - 1]
        nll = -row[token].item()
        if position < len(before):
            sums["prompt"] += nll
            continue
        rank = 1 + sum(other > row[token] for other in row).item()
        sums["tokens"] += 1
        sums["nll"] += nll
        sums["p"] += math.exp(-nll)
        sums["rank"] += rank
        sums["rank50"] += min(rank, 50)
        sums["entropy"] += -(row.exp() * row).sum().item()
        sums["square"] += row.exp().square().sum().item()
    return sums


ROWS = [
    ("What is the capital?", "The capital is there. Is it? Yes."),
    ("Hi", "x"),
    ("A very long question " * 9, "short answer"),
    ("Short", "a very long answer in here " * 9),
    ("Both long " * 20, "and long " * 30),
    ("Blank start", "  the answer begins with blanks"),
    ("Ünïcode", "日本語 and \u2028 separators 👍"),
]


@pytest.mark.parametrize("tokens_per_batch", [1, 200, 100_000])
def test_sums_equal_an_independent_one_by_one_computation(base_model, tokens_per_batch):
    scorer = LossScorer(base_model, tokens_per_batch=tokens_per_batch, device="cpu")
    losses = scorer.score([Conversation(None, (q,), (a,)) for q, a in ROWS])
    for (question, answer), loss in zip(ROWS, losses, strict=True):
        expected = by_hand(base_model, f"<|bos|><|user|>\n{question}\n<|assistant|>\n", answer, 128)
        # The end of turn follows the answer in the text; it is cut off or not scored.
        assert loss.error is None
        assert loss.tokens == expected["tokens"]
        assert loss.nll_sum == pytest.approx(expected["nll"], abs=1e-4 * loss.tokens)
        assert loss.probability_sum == pytest.approx(expected["p"], abs=1e-4)
        assert loss.rank_sum == pytest.approx(expected["rank"])
        assert loss.rank50_sum == pytest.approx(expected["rank50"])
        assert loss.entropy_sum == pytest.approx(expected["entropy"], abs=1e-3)
        assert loss.squared_probability_sum == pytest.approx(expected["square"], abs=1e-4)
        assert loss.prompt_nll_sum == pytest.approx(expected["prompt"], abs=1e-3)


def test_unconditional_loss_covers_the_same_tokens_after_bos(base_model):
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32).eval()
    loss = LossScorer(base_model).score([Conversation(None, ("Hi",), ("the answer",))])[0]
    ids = [tokenizer.bos_token_id, *tokenizer("the answer", add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        mean = model(torch.tensor([ids]), labels=torch.tensor([ids])).loss.item()
    assert loss.unconditional_tokens == loss.tokens == len(ids) - 1
    assert loss.unconditional_nll_sum == pytest.approx(mean * (len(ids) - 1), abs=1e-4)


def test_step_heads_are_the_first_tokens_of_the_response_and_after_each_full_stop(base_model):
    # One byte a token ("th", "he" … aside): steps begin at o of "one", T of "Two" and at t of "three".
    conversation = Conversation(None, ("Q",), ("one. Two? three",))
    loss = LossScorer(base_model).score([conversation])[0]
    assert (loss.steps, loss.head1_tokens, loss.head2_tokens) == (3, 3, 6)
    assert 0 < loss.head1_nll_sum < loss.head2_nll_sum < loss.nll_sum


def test_every_assistant_turn_is_scored_given_all_before_it(base_model):
    one = LossScorer(base_model).score([Conversation(None, ("Q1",), ("A1",))])[0]
    two = LossScorer(base_model).score([Conversation(None, ("Q1", "Q2"), ("A1", "A2"))])[0]
    assert two.tokens == 2 * one.tokens
    assert two.nll_sum > one.nll_sum
    assert two.prompt_nll_sum == pytest.approx(one.prompt_nll_sum, abs=1e-4)


def test_end_of_turn_is_scored_only_when_asked_for(base_model):
    conversation = [Conversation(None, ("Q",), ("answer",))]
    without = LossScorer(base_model).score(conversation)[0]
    with_end = LossScorer(base_model, include_end_of_turn=True).score(conversation)[0]
    assert with_end.tokens == without.tokens + 1
    assert with_end.nll_sum > without.nll_sum


def test_a_space_that_the_template_adds_before_an_answer_is_scored(tmp_path):
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    )
    template += "{% else %} {{ m['content'] | trim }} {{ eos_token }}{% endif %}{% endfor %}"
    folder = save_language_model(tmp_path, template=template)
    answers = ("The answer.", "\nin two\nlines ")
    losses = LossScorer(folder, prompt_format="own").score(
        [Conversation(None, ("Q",), (a,)) for a in answers]
    )
    for answer, loss in zip(answers, losses, strict=True):
        expected = by_hand(folder, "<|bos|>[INST] Q [/INST]", f" {answer.strip()}", 128)
        assert (loss.error, loss.tokens) == (None, expected["tokens"])
        assert loss.nll_sum == pytest.approx(expected["nll"], abs=1e-4 * loss.tokens)
    ended = LossScorer(folder, prompt_format="own", include_end_of_turn=True).score(
        [Conversation(None, ("Q",), ("The answer.",))]
    )[0]
    assert ended.tokens == losses[0].tokens + 2  # the space before the end token, and the end token


def test_an_unscorable_row_is_an_error_of_that_row_only(base_model):
    rows = [
        Conversation(None, ("Q",), ("",)),
        Conversation(None, ("Q",), ("fine",)),
        Conversation(None, ("Q",), ("x" * 50_000,)),
    ]
    empty, fine, huge = LossScorer(base_model).score(rows)
    assert "no token" in empty.error
    assert empty.nll_sum is None
    assert fine.error is None
    assert huge.error is None
    assert huge.response_tokens >= 50_000
    assert huge.tokens < 128


def test_a_base_without_bos_pad_or_template_scores(tmp_path):
    folder = save_language_model(tmp_path, bos=False, eos=False)
    loss = LossScorer(folder).score([Conversation("Be brief.", ("Q",), ("the answer",))])[0]
    assert loss.error is None
    # Without BOS nothing precedes the first token of the bare response.
    assert loss.unconditional_tokens == loss.tokens - 1


def test_a_base_whose_logits_are_nan_gives_errors(tmp_path):
    folder = save_language_model(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    model.save_pretrained(folder)
    loss = LossScorer(folder).score([Conversation(None, ("Q",), ("A",))])[0]
    assert loss.error == "the base's logits are not finite"
    assert loss.nll_sum is None


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
def test_token_statistics_against_plain_definitions(positions, vocabulary, piece, seed):
    torch.manual_seed(seed)
    # Rounded logits make ties, which must not worsen a rank.
    logits = (torch.randn(positions, vocabulary) * 3).round()
    targets = torch.randint(vocabulary, (positions,))
    expected = []
    for position in range(positions):
        p = logits[position].double().softmax(-1)
        target = p[targets[position]]
        rank = 1 + int((p > target + 1e-12).sum())
        entropy = -(p * p.log()).sum()
        expected.append([-target.log(), target, rank, entropy, p.square().sum()])
    target_logits = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    found = token_statistics(logits.split(piece, dim=1), targets, target_logits)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-5, rtol=1e-5)
