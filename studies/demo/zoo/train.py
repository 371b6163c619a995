"""Train one tiny model: batches of padded rows, AdamW, a warm-up and a cosine. Seeded, on one CPU thread."""

import logging
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from preceptor.progress import Progress

log = logging.getLogger(__name__)
BATCH = 32
LEARNING_RATE = 4e-3
WARMUP = 50
Row = tuple[list[int], list[float]]  # token ids, and how much each token's prediction counts


def train(model: Any, batches: Iterator[list[Row]], steps: int, loss: Callable[[Any, Any], Any]) -> None:
    """Take `steps` optimizer steps; `loss(model, batch)` is minimised."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    progress = Progress(model.name_or_path, steps)
    model.train()
    for _ in range(steps):
        value = loss(model, next(batches))
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        progress.advance(1)
    log.info("%s: last batch's loss %.3f", model.name_or_path, value.item())
    model.eval()


def _rate(step: int, steps: int) -> float:
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


def language_loss(model: Any, rows: list[Row]) -> Any:
    """Cross-entropy of the tokens that count."""
    import torch

    ids, mask, weights = _padded(rows, model.config.pad_token_id)
    logits = model(input_ids=ids, attention_mask=mask).logits
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    counted = weights[:, 1:]
    return (losses * counted).sum() / counted.sum()


def right_or_wrong_loss(model: Any, rows: list[Row]) -> Any:
    """Binary cross-entropy of a classifier with one logit; a row's last weight is its label."""
    import torch

    ids, mask, _ = _padded(rows, model.config.pad_token_id)
    logits = model(input_ids=ids, attention_mask=mask).logits
    labels = torch.tensor([label for _, (*_, label) in rows])
    return torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels)


def _padded(rows: list[Row], pad_id: int) -> tuple[Any, Any, Any]:
    """Ids, attention mask and weights, each (rows, longest)."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    weights = torch.zeros((len(rows), width))
    for number, (row, row_weights) in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
        weights[number, : len(row)] = torch.tensor(row_weights)
    return ids, mask, weights


def shuffled_batches(rows: list[Row], seed: int) -> Iterator[list[Row]]:
    """The rows in random order, again and again, BATCH at a time."""
    draw = random.Random(seed)
    while True:
        order = draw.sample(range(len(rows)), len(rows))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield [rows[i] for i in order[start : start + BATCH]]
