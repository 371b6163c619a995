"""Forward passes over many texts, in batches that share prompts and are split when memory runs out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from preceptor.compute.backbone import choose_backbone, longest_common_row, shares_prompts
from preceptor.compute.batches import budget_on, by_length, split_when_full
from preceptor.compute.head import Head
from preceptor.compute.speed import Speed

Statistics = dict[int, torch.Tensor | None]
SHARED_SHARE = 0.1  # least share of a group's tokens that a shared prompt must save, net of padding
SHARED_LENGTHS = 0.7  # least ratio of a row's length to the longest in its group, so that padding stays small


class TokenPasses:
    """A causal language model that gives statistics for every token of a text except the first."""

    def __init__(self, model: Any, device: str, tokens_per_batch: int) -> None:
        self.model = model
        self.device = device
        self.head = Head(model)
        self.backbone = choose_backbone(model, device, self.head.logits)
        self.tokens_per_batch = tokens_per_batch
        self.longest_common_row = longest_common_row(model)
        self.shares = self.longest_common_row is None and shares_prompts(self.backbone)
        self.begin()

    def begin(self) -> None:
        """Reset the counters and the budget."""
        self.speed = Speed(self.model, self.device)
        self.budget = budget_on(self.device, self.tokens_per_batch, self.longest_common_row)
        self.tokens_shared = 0

    def facts(self) -> dict[str, int | float]:
        """Speed, memory and shared tokens of the passes since `begin`."""
        return self.speed.facts() | {"prompt_tokens_shared": self.tokens_shared}

    def statistics(
        self, texts: Mapping[int, list[int]], prompts: Mapping[int, int] | None = None
    ) -> Iterator[Statistics]:
        """Yield batches of {number: (tokens - 1, 5) in float64 on the CPU}; None for a text too large.

        Row i is `head.token_statistics` of token i + 1. `prompts` gives the number of prompt tokens at the
        start of each text. Texts with the same prompt run it once if that saves enough.
        """
        prompts = prompts if prompts is not None and self.shares else {}
        single = dict.fromkeys(texts)
        for group in self._groups(texts, prompts):
            prompt = prompts[group[0]]
            self.tokens_shared += prompt * (len(group) - 1)
            yield self._split(group, texts, prompt)
            for number in group:
                del single[number]
        numbers = list(single)
        for batch in by_length([len(texts[n]) for n in numbers], self.budget):
            yield self._split([numbers[i] for i in batch], texts, 0)

    def _groups(self, texts: Mapping[int, list[int]], prompts: Mapping[int, int]) -> Iterator[list[int]]:
        """Groups of texts with the same prompt that fit in a batch and save enough by running it once."""
        same: dict[tuple[int, ...], list[int]] = {}
        for number, length in prompts.items():
            same.setdefault(tuple(texts[number][:length]), []).append(number)
        for prompt, numbers in same.items():
            group: list[int] = []
            for number in sorted(numbers, key=lambda n: -len(texts[n])):
                if group and not self._joins(group, number, texts, len(prompt)):
                    yield from self._paying(group, texts, len(prompt))
                    group = []
                group.append(number)
            yield from self._paying(group, texts, len(prompt))

    def _paying(self, group: list[int], texts: Mapping[int, list[int]], prompt: int) -> Iterator[list[int]]:
        lengths = [len(texts[n]) for n in group]
        padding = len(group) * max(lengths) - sum(lengths)
        if prompt * (len(group) - 1) - padding > SHARED_SHARE * sum(lengths):
            yield group

    def _joins(self, group: list[int], number: int, texts: Mapping[int, list[int]], prompt: int) -> bool:
        longest, length = len(texts[group[0]]), len(texts[number])
        fits = longest * (len(group) + 1) <= self.budget.tokens
        return fits and length - prompt >= max(1, SHARED_LENGTHS * (longest - prompt))

    def _split(self, numbers: list[int], texts: Mapping[int, list[int]], prompt: int) -> Statistics:
        def forward(some: Sequence[int]) -> list[torch.Tensor]:
            return self._pass([texts[n] for n in some], prompt)

        tokens = len(numbers) * max(len(texts[n]) for n in numbers)
        found = split_when_full(numbers, tokens, forward, self.budget)
        return dict(zip(numbers, found, strict=True))

    @torch.inference_mode()
    def _pass(self, rows: list[list[int]], prompt: int) -> list[torch.Tensor]:
        lengths = [len(row) for row in rows]
        once = [prompt, *(length - prompt for length in lengths)] if prompt else lengths
        with self.speed.passing(once, sum(once)):
            return self._shared(rows, prompt) if prompt else self._plain(rows)

    def _plain(self, rows: list[list[int]]) -> list[torch.Tensor]:
        states = torch.cat([hidden[:-1] for hidden in self.backbone.hidden(rows)])
        targets = torch.tensor([token for row in rows for token in row[1:]], device=self.device)
        found = self.head.statistics(states, targets).cpu()
        return list(found.split([len(row) - 1 for row in rows]))

    def _shared(self, rows: list[list[int]], prompt: int) -> list[torch.Tensor]:
        """Score the prompt once. Its last state predicts each row's first own token."""
        before, after = self.backbone.behind_prompt(rows[0][:prompt], [row[prompt:] for row in rows])
        states = torch.cat([before[:-1], *(torch.cat([before[-1:], own[:-1]]) for own in after)])
        targets = [*rows[0][1:prompt], *(token for row in rows for token in row[prompt:])]
        found = self.head.statistics(states, torch.tensor(targets, device=self.device)).cpu()
        of_prompt, *own = found.split([prompt - 1, *(len(row) - prompt for row in rows)])
        return [torch.cat([of_prompt, statistics]) for statistics in own]
