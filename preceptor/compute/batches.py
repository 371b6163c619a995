"""Batches of rows of similar length. A budget limits their tokens and shrinks when memory runs out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

# On a CPU batches help only for short rows: up to 256 tokens at Qwen2.5-0.5B's shape. Beyond that, padding
# only adds work.
ALONE_BEYOND_ON_CPU, LEAST_SHARE_ON_CPU = 256, 0.9
log = logging.getLogger(__name__)
FULL = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass
class TokenBudget:
    """Most tokens in one batch, padding included.

    Each row of a batch has at least `least_share` of the longest row's tokens. A row of more than
    `alone_beyond` tokens gets its own batch.
    """

    tokens: int
    least_share: float = 0.0
    alone_beyond: int | None = None


def budget_on(device: str, tokens: int, longest_common_row: int | None) -> TokenBudget:
    """A new budget of `tokens` per batch. Rows beyond `longest_common_row` run alone."""
    if device != "cpu":
        return TokenBudget(tokens, alone_beyond=longest_common_row)
    alone = min(longest_common_row or ALONE_BEYOND_ON_CPU, ALONE_BEYOND_ON_CPU)
    return TokenBudget(tokens, LEAST_SHARE_ON_CPU, alone)


def by_length(lengths: Sequence[int], budget: TokenBudget) -> Iterator[list[int]]:
    """Yield lists of row numbers, longest rows first. A padded batch has at most the budget's tokens.

    The longest batch comes first, so that a model that does not fit fails at once.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        width = lengths[batch[0]] if batch else lengths[row]
        alone = budget.alone_beyond is not None and width > budget.alone_beyond
        unlike = lengths[row] < budget.least_share * width
        if batch and (alone or unlike or width * (len(batch) + 1) > budget.tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def pad(rows: Sequence[Sequence[int]], pad_id: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and attention mask, both (rows, longest)."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids.to(device), mask.to(device)


def split_when_full(
    rows: Sequence[Row],
    tokens: int,
    forward: Callable[[Sequence[Row]], list[Result]],
    budget: TokenBudget,
) -> list[Result | None]:
    """Run `forward` on all rows; if memory runs out, on each half. None for a row that does not fit alone.

    The budget drops to half the tokens that did not fit, so that later batches do not fail the same way.
    """
    try:
        return list(forward(rows))
    except (
        RuntimeError
    ) as error:  # torch.OutOfMemoryError is a subclass; the CPU allocator raises the base class
        if not _out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
    # Outside the handler, because the traceback keeps the failed pass's tensors alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("out of memory with %d rows in a batch: %s", len(rows), reason)
    if len(rows) == 1:
        return [None]
    budget.tokens = max(1, min(budget.tokens, tokens // 2))
    half, of_half = len(rows) // 2, max(1, tokens // 2)
    first = split_when_full(rows[:half], of_half, forward, budget)
    return first + split_when_full(rows[half:], of_half, forward, budget)


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in FULL)
