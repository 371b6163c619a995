"""Rewards of real Arena-Hard answers from a random classifier of Qwen2.5's shape (vocabulary 151,936).

    PRECEPTOR_DATA=… PYTHONPATH=. python benchmarks/reward_scoring.py [--rows 16] [--rounds 2]
    … --device cuda --dtype bfloat16 --rows 1000 --rounds 1 --tokens-per-batch 16384

Peers: one row at a time, as published scorers do; padded batches of 16 in file order. Each side runs in its
own process. The sides take turns, with new answers in each round; loading is not timed.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch

from benchmarks._answers import SHAPES, conversations, random_model
from benchmarks._measure import Prepare, Side, Work, serve, table, take_turns

PASSED_ON = ("device", "dtype", "tokens_per_batch")


def preceptor(options: argparse.Namespace) -> Prepare:
    """Ours: batches of similar length."""
    from preceptor.compute.reward import RewardScorer

    scorer = RewardScorer(
        options.model,
        dtype=options.dtype,
        device=options.device,
        tokens_per_batch=options.tokens_per_batch,
    )

    def prepare(first: int, rows: int) -> Work:
        asked = conversations(rows, first)
        tokens = sum(len(ids) for ids in token_rows(options, first, rows))
        return Work(lambda: [r.reward or 0.0 for r in scorer.score(asked)], tokens, lambda: scorer.facts)

    return prepare


def token_rows(options: argparse.Namespace, first: int, rows: int) -> list[list[int]]:
    """Token ids of each row, as our scorer computes them."""
    from preceptor.compute.conversation import render, template_of
    from preceptor.compute.load import load_tokenizer

    tokenizer = load_tokenizer(options.model, "main")
    template = template_of(tokenizer, "own")
    texts = [render(tokenizer, template, c).text for c in conversations(rows, first)]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def padded(options: argparse.Namespace) -> Prepare:
    """Batches of `--batch-size` rows in file order; 1 is what most scorers do."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        options.model, dtype=getattr(torch, options.dtype)
    )
    model = model.to(options.device).eval()
    model.config.pad_token_id = 0

    @torch.inference_mode()
    def batch(some: list[list[int]]) -> list[float]:
        width = max(len(ids) for ids in some)
        ids = torch.tensor([row + [0] * (width - len(row)) for row in some], device=options.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in some])
        scores: list[float] = (
            model(input_ids=ids, attention_mask=mask.to(options.device)).logits[:, 0].tolist()
        )
        return scores

    def prepare(first: int, rows: int) -> Work:
        asked = token_rows(options, first, rows)
        size = options.batch_size
        groups = [asked[start : start + size] for start in range(0, len(asked), size)]
        return Work(lambda: [score for group in groups for score in batch(group)], sum(map(len, asked)))

    return prepare


def compare(options: argparse.Namespace) -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        model = str(random_model(Path(folder), options.shape, classifier=True))
        settings = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in PASSED_ON]
        sides = {
            name: running.enter_context(
                Side(__file__, [*settings, f"--side={side}", f"--batch-size={size}", f"--model={model}"])
            )
            for name, side, size in (
                ("preceptor", "preceptor", 0),
                ("one at a time", "padded", 1),
                ("padded 16, file order", "padded", 16),
            )
        }
        rounds = take_turns(sides, options.rounds, options.rows)
    print(f"\n{options.shape}, {options.dtype}, {options.device}: {options.rounds} × {options.rows} rows\n")
    table(rounds)


def main() -> None:
    """Compare, or be one side of the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="0.5B")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens-per-batch", type=int, default=2048)
    parser.add_argument("--side", choices=("preceptor", "padded"))
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--model")
    options = parser.parse_args()
    if options.side is None:
        compare(options)
    else:
        serve({"preceptor": preceptor, "padded": padded}[options.side](options), options.device)


if __name__ == "__main__":
    main()
