"""How a base model sees responses: sums over their tokens, all taken from one forward pass.

The sums serve CAR (2411.07133), GRAPE, rank-surprisal ratio (2601.14249), LARK's Brier term (2605.30651),
ASLEC's step heads (2604.06834) and IFD; the list is design.md's "What is scored".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from preceptor.compute.batches import by_length, pad
from preceptor.compute.conversation import Conversation, TemplateProblem, render, template_of
from preceptor.compute.load import context_length, load_causal_lm, load_tokenizer, pick_device
from preceptor.compute.tokens import Tokens, tokenize, truncate

POSITIONS_AT_ONCE = 2048
LOGITS_AT_ONCE = 2**28  # numbers; 1 GiB in float32
RANK_CLIPS = (50, 100, 500)


@dataclass
class ResponseLoss:
    """Sums over a response's scored tokens. NLL and entropy are in nats; rank 1 is the likeliest token."""

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
    """A base model that scores responses. The same token rules hold for every teacher."""

    def __init__(
        self,
        model: str,
        revision: str = "main",
        dtype: str = "float32",
        prompt_format: str = "tulu",
        include_end_of_turn: bool = False,
        max_length: int | None = None,
        device: str = "auto",
        tokens_per_batch: int = 8192,
    ) -> None:
        self.device = pick_device(device)
        self.tokenizer = load_tokenizer(model, revision)
        self.template = template_of(self.tokenizer, prompt_format)
        self.model = load_causal_lm(model, revision, dtype, self.device)
        self.context = context_length(self.model, max_length)
        self.include_end_of_turn = include_end_of_turn
        vocabulary = self.model.config.get_text_config().vocab_size
        self.tokens_per_batch = min(tokens_per_batch, max(1, LOGITS_AT_ONCE // vocabulary))

    def score(self, conversations: Sequence[Conversation]) -> list[ResponseLoss]:
        """Score each conversation's assistant turns; what cannot be scored carries an `error`."""
        results = [ResponseLoss() for _ in conversations]
        rows: dict[int, Tokens] = {}
        for number, tokens in self._tokens(conversations, results).items():
            results[number].response_tokens = tokens.response_tokens
            rows[number] = truncate(tokens, self.context, self.tokenizer.bos_token_id)
            if not any(position > 0 for position in rows[number].response):
                results[number].error = "the response has no token that the base can be asked for"
                del rows[number]
        self._conditional(rows, results)
        self._unconditional(rows, results)
        return [_finite(result) for result in results]

    def _tokens(
        self, conversations: Sequence[Conversation], results: list[ResponseLoss]
    ) -> dict[int, Tokens]:
        rendered = {}
        for number, conversation in enumerate(conversations):
            try:
                rendered[number] = render(self.tokenizer, self.template, conversation)
            except TemplateProblem as problem:
                results[number].error = str(problem)
        located = tokenize(self.tokenizer, list(rendered.values()), self.include_end_of_turn)
        return dict(zip(rendered, located, strict=True))

    def _conditional(self, rows: dict[int, Tokens], results: list[ResponseLoss]) -> None:
        numbers = list(rows)
        for batch in by_length([len(rows[n].ids) for n in numbers], self.tokens_per_batch):
            chosen = [numbers[i] for i in batch]
            per_token = self._statistics([rows[n].ids for n in chosen])
            for number, statistics in zip(chosen, per_token, strict=True):
                _sum_up(rows[number], statistics, results[number])

    def _unconditional(self, rows: dict[int, Tokens], results: list[ResponseLoss]) -> None:
        """The same response tokens without the instruction, behind BOS where the base has one (for IFD)."""
        bos = self.tokenizer.bos_token_id
        front = [] if bos is None else [bos]
        numbers = [n for n in rows if len(front) + len(rows[n].response) > 1]
        texts = {n: (front + [rows[n].ids[p] for p in rows[n].response])[: self.context] for n in numbers}
        for batch in by_length([len(texts[n]) for n in numbers], self.tokens_per_batch):
            chosen = [numbers[i] for i in batch]
            for number, statistics in zip(chosen, self._statistics([texts[n] for n in chosen]), strict=True):
                results[number].unconditional_tokens = len(statistics)
                results[number].unconditional_nll_sum = float(statistics[:, 0].sum())

    @torch.inference_mode()
    def _statistics(self, rows: list[list[int]]) -> list[torch.Tensor]:
        """Per row, (tokens - 1, 5) in float64: what `token_statistics` gives for its 2nd token onwards."""
        ids, mask = pad(rows, pad_id=0, device=self.device)
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        real = mask[:, 1:].bool()
        found = token_statistics(logits, ids[:, 1:], real)
        return list(found.split([len(row) - 1 for row in rows]))


def token_statistics(logits: torch.Tensor, targets: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """(real tokens, 5) in float64 on the CPU: surprisal, probability, rank, entropy, squared norm.

    logits (rows, width, vocabulary), targets and real (rows, width). Rank is 1 + tokens strictly likelier.
    The softmax is taken in float32 over some positions at a time.
    """
    places = real.nonzero()
    found = []
    for place in places.split(POSITIONS_AT_ONCE):
        z = logits[place[:, 0], place[:, 1]].float()
        target = z.gather(1, targets[place[:, 0], place[:, 1]].unsqueeze(1))
        log_norm = z.logsumexp(1, keepdim=True)
        p = (z - log_norm).exp()
        surprisal = (log_norm - target).squeeze(1).double()
        rank = 1 + (z > target).sum(1)
        entropy = log_norm.squeeze(1) - (p * z).sum(1)
        squared = p.square().sum(1)
        found.append(
            torch.stack([surprisal, (-surprisal).exp(), rank, entropy, squared], dim=1).double().cpu()
        )
    return torch.cat(found) if found else torch.empty((0, 5), dtype=torch.float64)


def _sum_up(tokens: Tokens, statistics: torch.Tensor, result: ResponseLoss) -> None:
    """Row i of the statistics belongs to token i + 1: nothing is asked of the first token."""
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


def _finite(result: ResponseLoss) -> ResponseLoss:
    """The result, or an error row where the model gave NaN or infinity: no NaN ever reaches a table."""
    sums = (result.nll_sum, result.entropy_sum, result.prompt_nll_sum, result.unconditional_nll_sum)
    if all(math.isfinite(value) for value in sums if value is not None):
        return result
    return ResponseLoss(result.response_tokens, error="the base's logits are not finite")
