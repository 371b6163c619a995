"""Score responses under a base model: sums over their tokens, all from one forward pass.

The sums serve CAR (2411.07133), GRAPE, rank-surprisal ratio (2601.14249), LARK's Brier term (2605.30651),
ASLEC's step heads (2604.06834) and IFD. design.md lists them under "What is scored".
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import torch

from preceptor.compute.conversation import Conversation, TemplateProblem, render, template_of
from preceptor.compute.load import (
    context_length,
    load_causal_lm,
    load_tokenizer,
    pick_device,
    refuse_tokenizer,
)
from preceptor.compute.passes import TokenPasses
from preceptor.compute.tokens import Tokens, tokenize_rows, truncate
from preceptor.compute.vocabulary import embedding_rows

ROWS_SORTED_TOGETHER = 2048
RANK_CLIPS = (50, 100, 500)


@dataclass
class ResponseLoss:
    """Sums over a response's scored tokens. NLL and entropy are in nats; rank 1 is the most likely token."""

    response_tokens: int = 0  # before truncation
    tokens: int = 0  # scored
    nll_sum: float | None = None
    probability_sum: float | None = None
    rank_sum: float | None = None
    rank50_sum: float | None = None
    rank100_sum: float | None = None
    rank500_sum: float | None = None
    entropy_sum: float | None = None
    squared_probability_sum: float | None = None
    prompt_tokens: int | None = None
    prompt_nll_sum: float | None = None
    steps: int | None = None
    head1_tokens: int | None = None
    head1_nll_sum: float | None = None
    head2_tokens: int | None = None
    head2_nll_sum: float | None = None
    unconditional_tokens: int | None = None
    unconditional_nll_sum: float | None = None
    error: str | None = None


class LossScorer:
    """A base model that scores responses, with the same token rules for every teacher.

    `unconditional` adds a second pass over the responses without their prompts. Only IFD needs it.
    """

    def __init__(
        self,
        model: str,
        revision: str = "main",
        dtype: str = "float32",
        prompt_format: str = "tulu",
        include_end_of_turn: bool = False,
        unconditional: bool = True,
        max_length: int | None = None,
        device: str = "auto",
        tokens_per_batch: int = 8192,
        prompt_date: date | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.tokenizer = load_tokenizer(model, revision)
        self.template = template_of(self.tokenizer, prompt_format, prompt_date)
        self.model = load_causal_lm(model, revision, dtype, self.device)
        refuse_tokenizer(model, self.model, self.tokenizer, prompt_format)
        self.rows = embedding_rows(self.model)
        self.context = context_length(self.model, max_length)
        self.include_end_of_turn = include_end_of_turn
        self.unconditional = unconditional
        self.passes = TokenPasses(self.model, self.device, tokens_per_batch)

    @property
    def facts(self) -> dict[str, int | float]:
        """Speed and memory since the last `stream`."""
        return self.passes.facts()

    def score(self, conversations: Sequence[Conversation]) -> list[ResponseLoss]:
        """Score each conversation's assistant turns. A row that cannot be scored has an `error`."""
        return [loss for _, loss in sorted(self.stream(conversations), key=lambda found: found[0])]

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, ResponseLoss]]:
        """Yield (conversation number, loss) batch by batch, longest first within a window."""
        self.passes.begin()
        for start in range(0, len(conversations), ROWS_SORTED_TOGETHER):
            window = conversations[start : start + ROWS_SORTED_TOGETHER]
            for number, loss in self._window(window):
                yield start + number, _finite(loss)

    def _window(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, ResponseLoss]]:
        results = [ResponseLoss() for _ in conversations]
        rows: dict[int, Tokens] = {}
        for number, tokens in self._tokens(conversations, results).items():
            results[number].response_tokens = tokens.response_tokens
            rows[number] = truncate(tokens, self.context, self.tokenizer.bos_token_id)
            if not any(position > 0 for position in rows[number].response):
                results[number].error = "the response has no token that the base can predict"
                del rows[number]
        yield from ((n, result) for n, result in enumerate(results) if n not in rows)
        prompts = {n: tokens.prompt_length for n, tokens in rows.items()}
        for found in self.passes.statistics({n: tokens.ids for n, tokens in rows.items()}, prompts):
            for number, statistics in found.items():
                _sum_up(rows[number], statistics, results[number])
            if self.unconditional:
                self._add_unconditional({n: rows[n] for n in found}, results)
            yield from ((n, results[n]) for n in found)

    def _tokens(
        self, conversations: Sequence[Conversation], results: list[ResponseLoss]
    ) -> dict[int, Tokens]:
        rendered = {}
        for number, conversation in enumerate(conversations):
            try:
                rendered[number] = render(self.tokenizer, self.template, conversation)
            except TemplateProblem as problem:
                results[number].error = str(problem)
        failed: dict[int, str] = {}
        found = tokenize_rows(self.tokenizer, rendered, self.rows, self.include_end_of_turn, failed)
        for number, reason in failed.items():
            results[number].error = reason
        return found

    def _add_unconditional(self, rows: dict[int, Tokens], results: list[ResponseLoss]) -> None:
        """Score the response tokens without the instruction, after BOS if the base has one (for IFD)."""
        bos = self.tokenizer.bos_token_id
        front = [] if bos is None else [bos]
        texts = {
            n: (front + [tokens.ids[p] for p in tokens.response])[: self.context]
            for n, tokens in rows.items()
            if len(front) + len(tokens.response) > 1
        }
        for found in self.passes.statistics(texts):
            for number, statistics in found.items():
                if statistics is None:
                    results[number] = ResponseLoss(
                        results[number].response_tokens, error=_too_large(rows[number])
                    )
                    continue
                results[number].unconditional_tokens = len(statistics)
                results[number].unconditional_nll_sum = float(statistics[:, 0].sum())


def _sum_up(tokens: Tokens, statistics: torch.Tensor | None, result: ResponseLoss) -> None:
    """Row i of the statistics belongs to token i + 1: nothing predicts the first token."""
    if statistics is None:
        result.error = _too_large(tokens)
        return
    response = [p - 1 for p in tokens.response if p > 0]
    surprisal, rank = statistics[:, 0], statistics[:, 2]
    sums = statistics[response].sum(0).tolist()
    result.tokens = len(response)
    result.nll_sum, result.probability_sum, result.rank_sum, result.entropy_sum = sums[:4]
    result.squared_probability_sum = sums[4]
    clipped = [float(rank[response].clamp(max=clip).sum()) for clip in RANK_CLIPS]
    result.rank50_sum, result.rank100_sum, result.rank500_sum = clipped
    prompt = max(tokens.prompt_length - 1, 0)
    result.prompt_tokens, result.prompt_nll_sum = prompt, float(surprisal[:prompt].sum())
    head1 = [p - 1 for p in tokens.head1 if p > 0]
    head2 = [p - 1 for p in tokens.head2 if p > 0]
    result.steps = len(tokens.head1)
    result.head1_tokens, result.head1_nll_sum = len(head1), float(surprisal[head1].sum())
    result.head2_tokens, result.head2_nll_sum = len(head2), float(surprisal[head2].sum())


def _too_large(tokens: Tokens) -> str:
    return f"out of memory: the row's {len(tokens.ids):,} tokens do not fit even alone; set 'max_length'"


def _finite(result: ResponseLoss) -> ResponseLoss:
    """The result, or an error row if the model gave NaN or infinity, so that no NaN reaches a table."""
    sums = (result.nll_sum, result.entropy_sum, result.prompt_nll_sum, result.unconditional_nll_sum)
    if all(math.isfinite(value) for value in sums if value is not None):
        return result
    return ResponseLoss(result.response_tokens, error="the base's logits are not finite")
