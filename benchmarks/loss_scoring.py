"""Losses of real Arena-Hard answers under a random model of Qwen2.5's shape (vocabulary 151,936).

    PRECEPTOR_DATA=… PYTHONPATH=. python benchmarks/loss_scoring.py [--rows 8] [--rounds 4]
    … --device cuda --dtype bfloat16 --shape 3B --rows 1000 --rounds 1 --tokens-per-batch 16384
    … --answers-each 4 --rows 12 --tokens-per-batch 8192 --sides preceptor unshared   # sharing prompts

Peers: lm-eval's HFLM at its fastest batch size; a transformers loop over padded batches of 8 in file order;
vLLM's prompt_logprobs. All get the same token ids and compute a response's NLL; ours also computes ranks,
entropies and the rest of design.md's list, in the same pass. Each side runs in its own process. The sides
take turns, with new answers in each round; loading is not timed.
"""

import argparse
import math
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from benchmarks._answers import SHAPES, conversations, random_model
from benchmarks._measure import Prepare, Side, Work, serve, table, take_turns

CONTEXT = 2048
PASSED_ON = ("device", "dtype", "tokens_per_batch", "answers_each")
Rows = list[tuple[list[int], int]]  # (token ids, number of prompt tokens)


def token_rows(options: argparse.Namespace, first: int, rows: int) -> Rows:
    """Token ids of each row, exactly as our scorer cuts them."""
    from preceptor.compute.conversation import render, template_of
    from preceptor.compute.load import load_tokenizer
    from preceptor.compute.tokens import tokenize, truncate

    tokenizer = load_tokenizer(options.model, "main")
    template = template_of(tokenizer, "own")
    rendered = [render(tokenizer, template, c) for c in conversations(rows, first, options.answers_each)]
    cut = [truncate(tokens, CONTEXT, None) for tokens in tokenize(tokenizer, rendered, False)]
    return [(tokens.ids[: tokens.response[-1] + 1], tokens.prompt_length) for tokens in cut]


def preceptor(options: argparse.Namespace) -> Prepare:
    """Ours in one pass, without the second pass that only IFD needs."""
    from preceptor.compute.loss import LossScorer

    scorer = LossScorer(
        options.model,
        dtype=options.dtype,
        prompt_format="own",
        unconditional=False,
        max_length=CONTEXT,
        device=options.device,
        tokens_per_batch=options.tokens_per_batch,
    )

    def prepare(first: int, rows: int) -> Work:
        asked = conversations(rows, first, options.answers_each)
        tokens = sum(len(ids) for ids, _ in token_rows(options, first, rows))
        return Work(
            lambda: [loss.nll_sum or 0.0 for loss in scorer.score(asked)], tokens, lambda: scorer.facts
        )

    return prepare


def unshared(options: argparse.Namespace) -> Prepare:
    """Ours without prompt sharing: the prompt is computed again for every answer."""
    from preceptor.compute import passes

    passes.SHARED_SHARE = math.inf
    return preceptor(options)


def hflm(options: argparse.Namespace) -> Prepare:
    """lm-eval's log-likelihood of continuations."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    lm = HFLM(_model(options), tokenizer=tokenizer, batch_size=options.batch_size, device=options.device)

    def prepare(first: int, rows: int) -> Work:
        asked = [(("", ""), ids[:prompt], ids[prompt:]) for ids, prompt in token_rows(options, first, rows)]
        tokens = sum(len(before) + len(after) for _, before, after in asked)
        return Work(lambda: [-a[0] for a in lm._loglikelihood_tokens(asked, disable_tqdm=True)], tokens)

    return prepare


def loop(options: argparse.Namespace) -> Prepare:
    """A common transformers loop: padded batches of 8 in file order, all logits, log-softmax."""
    model = _model(options)

    @torch.inference_mode()
    def batch(some: Rows) -> list[float]:
        width = max(len(ids) for ids, _ in some)
        ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in some], device=options.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in some])
        logits = model(input_ids=ids, attention_mask=mask.to(options.device)).logits.float()
        taken = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(2).cpu()
        return [-float(taken[n, prompt - 1 : len(row) - 1].sum()) for n, (row, prompt) in enumerate(some)]

    def prepare(first: int, rows: int) -> Work:
        asked = token_rows(options, first, rows)
        groups = [asked[start : start + 8] for start in range(0, len(asked), 8)]
        return Work(lambda: [v for group in groups for v in batch(group)], sum(len(ids) for ids, _ in asked))

    return prepare


def vllm(options: argparse.Namespace) -> Prepare:
    """vLLM's prompt_logprobs. Its memory is not measured: the engine allocates it in another process."""
    from vllm import LLM, SamplingParams

    llm = LLM(options.model, dtype=options.dtype, max_model_len=CONTEXT + 1, enforce_eager=True)
    params = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)

    def nll(found: Any, ids: list[int], prompt: int) -> float:
        return -sum(found[position][ids[position]].logprob for position in range(prompt, len(ids)))

    def prepare(first: int, rows: int) -> Work:
        asked = token_rows(options, first, rows)
        prompts = [{"prompt_token_ids": ids} for ids, _ in asked]

        def run() -> list[float]:
            outputs = llm.generate(prompts, params, use_tqdm=False)
            return [nll(o.prompt_logprobs, *row) for o, row in zip(outputs, asked, strict=True)]

        return Work(run, sum(len(ids) for ids, _ in asked))

    return prepare


SIDES: dict[str, Callable[[argparse.Namespace], Prepare]] = {
    side.__name__: side for side in (preceptor, unshared, hflm, loop, vllm)
}


def _model(options: argparse.Namespace) -> Any:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    return model.to(options.device).eval()


def compare(options: argparse.Namespace) -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        model = str(random_model(Path(folder), options.shape, classifier=False))
        settings = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in PASSED_ON]

        def start(name: str, batch_size: int = 1) -> Side:
            own = [f"--side={name}", f"--model={model}", f"--batch-size={batch_size}"]
            return running.enter_context(Side(__file__, [*settings, *own]))

        best = options.hflm_batch_sizes[0]
        if "hflm" in options.sides and len(options.hflm_batch_sizes) > 1:
            best = _best_batch_size(start, options)
        sides = {name: start(name, best) for name in options.sides}
        rounds = take_turns(sides, options.rounds, options.rows)
    print(f"\n{options.shape}, {options.dtype}, {options.device}: {options.rounds} × {options.rows} rows\n")
    table(rounds)


def _best_batch_size(start: Callable[[str, int], Side], options: argparse.Namespace) -> int:
    seconds = {}
    for size in options.hflm_batch_sizes:
        with start("hflm", size) as side:
            side.measure(0, 1)
            measured = side.measure(0, options.rows)
        seconds[size] = measured.seconds
        print(f"HFLM, batch size {size}: {measured.seconds:.1f} s, peak {measured.peak_mib:,.0f} MiB")
    return min(seconds, key=lambda size: seconds[size])


def main() -> None:
    """Compare, or be one side of the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="0.5B")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tokens-per-batch", type=int, default=2048)
    parser.add_argument("--answers-each", type=int, default=1, help="number of teachers per question")
    parser.add_argument("--hflm-batch-sizes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["preceptor", "hflm", "loop", "vllm"])
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--model")
    options = parser.parse_args()
    if options.side is None:
        compare(options)
    else:
        serve(SIDES[options.side](options), options.device)


if __name__ == "__main__":
    main()
