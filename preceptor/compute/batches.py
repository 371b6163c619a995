"""Rows grouped into batches of similar length under a budget of tokens that shrinks when memory runs out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

log = logging.getLogger(__name__)
Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass
class TokenBudget:
    """The most tokens in one batch, padding included."""

    tokens: int


def by_length(lengths: Sequence[int], budget: TokenBudget) -> Iterator[list[int]]:
    """Yield lists of row numbers, longest rows first; padded, a batch holds at most the budget's tokens.

    The longest batch comes first so that a model that does not fit fails at once.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        width = lengths[batch[0]] if batch else lengths[row]
        if batch and width * (len(batch) + 1) > budget.tokens:
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
    rows: Sequence[Row], forward: Callable[[Sequence[Row]], list[Result]], budget: TokenBudget
) -> list[Result | None]:
    """`forward` of all rows, of halves of them where memory runs out; None for a row too large alone.

    Later batches are planned with half the budget, so that the same wall is not hit again and again.
    """
    try:
        return list(forward(rows))
    except RuntimeError as error:  # torch.OutOfMemoryError is one; a CPU's allocator raises a plain one
        if not _out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
    # Outside the handler, where the failed pass's tensors are no longer held by its traceback.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("out of memory with %d rows in a batch: %s", len(rows), reason)
    if len(rows) == 1:
        return [None]
    budget.tokens = max(1, budget.tokens // 2)
    half = len(rows) // 2
    return split_when_full(rows[:half], forward, budget) + split_when_full(rows[half:], forward, budget)


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
