"""Batches stay within their budget, lose no row, and are split when memory runs out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from preceptor.compute import passes
from preceptor.compute.batches import TokenBudget, budget_on, by_length, pad, split_when_full
from preceptor.compute.conversation import Conversation
from preceptor.compute.loss import LossScorer
from preceptor.compute.reward import RewardScorer


@given(st.lists(st.integers(1, 400)), st.integers(1, 1000))
def test_every_row_is_in_one_batch_and_only_a_row_alone_exceeds_the_budget(lengths, tokens):
    batches = list(by_length(lengths, TokenBudget(tokens)))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= tokens


def test_padding_is_masked():
    ids, mask = pad([[1, 2, 3], [4]], 9, "cpu")
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def fitting(limit):
    """A pass for at most `limit` tokens at once, which fails beyond that like torch."""

    def forward(rows):
        if sum(rows) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return [row * 10 for row in rows]

    return forward


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_a_batch_that_does_not_fit_is_split_until_only_rows_too_large_alone_fail(rows):
    budget = TokenBudget(1000)
    assert split_when_full(rows, sum(rows), fitting(20), budget) == [
        row * 10 if row <= 20 else None for row in rows
    ]
    assert budget.tokens < 1000 or sum(rows) <= 20 or len(rows) == 1


def test_an_error_of_the_cpu_allocator_counts_as_out_of_memory_and_other_errors_do_not():
    def forward(rows):
        torch.empty(2**55)  # 128 PiB

    assert split_when_full([1], 1, forward, TokenBudget(1)) == [None]

    def broken(rows):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        split_when_full([1, 2], 3, broken, TokenBudget(1))


def test_after_one_split_the_next_batches_are_smaller():
    sizes = []

    def forward(rows):
        sizes.append(len(rows))
        return fitting(40)(rows)

    budget = TokenBudget(80)
    for batch in by_length([10] * 32, budget):
        split_when_full([10] * len(batch), 10 * len(batch), forward, budget)
    assert sizes == [8, 4, 4, 4, 4, 4, 4, 4, 4]


def test_short_rows_still_share_batches_after_rows_that_only_fit_alone():
    budget = TokenBudget(8192)
    assert split_when_full([1000] * 8, 8000, fitting(1000), budget) == [10_000] * 8
    assert len(list(by_length([30] * 1000, budget))) == 31  # of at most 33 rows


@pytest.mark.parametrize(
    ("device", "longest_common_row", "alone_beyond"),
    [("cpu", None, 256), ("cpu", 48, 48), ("cpu", 4096, 256), ("cuda", None, None), ("cuda:1", 4096, 4096)],
)
def test_long_rows_run_alone_on_a_cpu_and_padding_is_small(device, longest_common_row, alone_beyond):
    budget = budget_on(device, 4096, longest_common_row)
    assert budget.alone_beyond == alone_beyond
    batches = list(by_length([300, 299, 200, 190, 100], budget))
    if device == "cpu" and alone_beyond == 256:
        assert batches == [[0], [1], [2, 3], [4]]
    if alone_beyond in (None, 4096):
        assert batches == [[0, 1, 2, 3, 4]]


def test_rows_beyond_a_length_run_alone():
    assert list(by_length([5, 30, 7, 40, 20], TokenBudget(1000, alone_beyond=20))) == [[3], [1], [4, 2, 0]]


ROWS = [Conversation(None, ("Hi",), ("word " * n,)) for n in (1, 4, 2, 6, 12)]


def test_losses_are_computed_with_little_memory(base_model, monkeypatch):
    expected = LossScorer(base_model).score(ROWS)
    scorer = LossScorer(base_model)
    whole = passes.TokenPasses._pass

    def small(self, rows, prompt):
        if sum(len(row) for row in rows) > 75:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, rows, prompt)

    monkeypatch.setattr(passes.TokenPasses, "_pass", small)
    *fitting_rows, huge = scorer.score(ROWS)
    assert "tokens do not fit even alone" in huge.error
    for found, wanted in zip(fitting_rows, expected[:-1], strict=True):
        assert found.nll_sum == pytest.approx(wanted.nll_sum, abs=1e-4)


def test_rewards_are_computed_with_little_memory(reward_model, monkeypatch):
    expected = RewardScorer(reward_model).score(ROWS)
    scorer = RewardScorer(reward_model)
    padded = RewardScorer._padded_logits

    def small(self, rows):
        if sum(len(row["input_ids"]) for row in rows) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return padded(self, rows)

    monkeypatch.setattr(RewardScorer, "_padded_logits", small)
    found = scorer.score(ROWS)
    assert [r.reward for r in found[:-1]] == pytest.approx([r.reward for r in expected[:-1]], abs=1e-5)
    assert "tokens do not fit even alone" in found[-1].error
