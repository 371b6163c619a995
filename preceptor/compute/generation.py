"""Responses from a teacher through transformers: batched, greedy or sampled, each row with its own seed."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from preceptor.compute.answering import before_stop_text, end_tokens, prompt_ids, until_end
from preceptor.compute.conversation import TemplateProblem, template_of
from preceptor.compute.load import (
    context_length,
    load_causal_lm,
    load_tokenizer,
    pick_device,
    refuse_tokenizer,
    release_memory,
)
from preceptor.compute.request import NOT_FINITE, Decoding, Generation, Request, ending
from preceptor.compute.vocabulary import embedding_rows

BATCHES_SORTED_TOGETHER = 4
NEVER = 2**62


class RowSeededSampling(LogitsProcessor):  # type: ignore[misc]
    """Draws each row's next token by inverting its distribution at the row's own random numbers.

    The draw does not depend on other rows of the batch, so a resumed run gives the same answers.
    """

    def __init__(self, uniforms: torch.Tensor, prompt_length: int) -> None:
        self.uniforms = uniforms  # (rows, steps)
        self.prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Mask all tokens but the drawn one, so that greedy decoding takes it."""
        cumulative = scores.double().softmax(-1).cumsum(-1)
        draw = self.uniforms[:, input_ids.shape[1] - self.prompt_length].to(cumulative.device).unsqueeze(1)
        token = torch.searchsorted(cumulative, draw * cumulative[:, -1:], right=True)
        drawn = torch.full_like(scores, float("-inf"))
        return drawn.scatter(1, token.clamp(max=scores.shape[1] - 1), 0.0)


class NotFinite(LogitsProcessor):  # type: ignore[misc]
    """Records each row's first step with unusable logits: NaN, infinite, or every token impossible."""

    def __init__(self, rows: int, prompt_length: int) -> None:
        self.first = torch.full((rows,), NEVER)
        self.prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores unchanged. Their maximum is NaN if any score is, so checking it is enough."""
        step = input_ids.shape[1] - self.prompt_length
        now = torch.where(scores.amax(-1).isfinite(), NEVER, step)
        self.first = torch.minimum(self.first.to(now.device), now)
        return scores


class TransformersGenerator:
    """A teacher loaded into this process."""

    def __init__(
        self,
        model: str,
        revision: str = "main",
        dtype: str = "float32",
        prompt_format: str = "own",
        decoding: Decoding | None = None,
        max_length: int | None = None,
        device: str = "auto",
        batch_size: int = 16,
        prompt_date: date | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.tokenizer = load_tokenizer(model, revision)
        self.template = template_of(self.tokenizer, prompt_format, prompt_date)
        self.model = load_causal_lm(model, revision, dtype, self.device)
        refuse_tokenizer(model, self.model, self.tokenizer, prompt_format)
        self.rows = embedding_rows(self.model)
        self.context = context_length(self.model, max_length)
        self.decoding = decoding or Decoding()
        self.batch_size = batch_size
        self.end_tokens = end_tokens(self.model.generation_config, self.tokenizer, self.rows)
        # The study's settings alone decide how tokens are drawn, not the defaults shipped with a model.
        self.model.generation_config = GenerationConfig()
        self.facts: dict[str, int | float] = {}

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Generation]]:
        """Yield answers as they finish, a few batches of similar length at a time."""
        some = BATCHES_SORTED_TOGETHER * self.batch_size
        for start in range(0, len(requests), some):
            yield from enumerate(self.generate(requests[start : start + some]), start)

    def close(self) -> None:
        """Free the memory."""
        del self.model
        release_memory()

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answer every request, turn by turn. A row that cannot be answered has an `error`."""
        answers = [Generation() for _ in requests]
        for turn in range(max((len(r.user) for r in requests), default=0)):
            prompts: dict[int, list[int]] = {}
            for number, request in enumerate(requests):
                if turn >= len(request.user) or answers[number].error is not None:
                    continue
                try:
                    answered = answers[number].turns
                    prompts[number] = prompt_ids(
                        self.tokenizer, self.template, request, answered, self.context, self.rows
                    )
                except TemplateProblem as problem:
                    answers[number] = Generation(error=str(problem))
            for group in self._groups(prompts):
                self._answer({n: prompts[n] for n in group}, requests, answers, turn)
        return answers

    def _room(self, prompt: list[int]) -> int:
        return min(self.decoding.max_new_tokens, self.context - len(prompt))

    def _groups(self, prompts: dict[int, list[int]]) -> list[list[int]]:
        """Batches of rows with the same room for new tokens and similar prompt lengths."""
        ordered = sorted(prompts, key=lambda n: (self._room(prompts[n]), len(prompts[n])))
        groups = []
        for _, same_room in groupby(ordered, key=lambda n: self._room(prompts[n])):
            rows = list(same_room)
            groups += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        return groups

    def _answer(
        self,
        prompts: dict[int, list[int]],
        requests: Sequence[Request],
        answers: list[Generation],
        turn: int,
    ) -> None:
        room = self._room(next(iter(prompts.values())))
        seeds = [requests[n].seed_of(turn) for n in prompts]
        decoded = self._decode(list(prompts.values()), seeds, room)
        for (number, prompt), (new, not_finite) in zip(prompts.items(), decoded, strict=True):
            stop = until_end(new, self.end_tokens)
            cut = self._stop_text(new[:stop])
            if not_finite <= (len(new) if stop is None else stop):
                answers[number] = Generation(error=NOT_FINITE)
                continue
            text = self.tokenizer.decode(new[: stop if cut is None else cut], skip_special_tokens=True)
            before = answers[number]
            answers[number] = Generation(
                turns=(*before.turns, before_stop_text(text, self.decoding.stop)),
                finish_reason=ending(
                    (before.finish_reason, "length" if stop is None and cut is None else "stop")
                ),
                prompt_tokens=(before.prompt_tokens or 0) + len(prompt),
                response_tokens=(before.response_tokens or 0) + (cut or (room if stop is None else stop + 1)),
            )

    def _stop_text(self, new: list[int]) -> int | None:
        """The number of tokens up to the first stop text; None if there is none."""
        if not any(stop in self.tokenizer.decode(new) for stop in self.decoding.stop):
            return None
        texts = (self.tokenizer.decode(new[:length]) for length in range(1, len(new) + 1))
        return next(n for n, text in enumerate(texts, 1) if any(s in text for s in self.decoding.stop))

    @torch.inference_mode()
    def _decode(self, prompts: list[list[int]], seeds: list[int], room: int) -> list[tuple[list[int], int]]:
        """Per prompt: new token ids, as many for all, and the first step whose logits are not finite."""
        width = max(len(prompt) for prompt in prompts)
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        watch = NotFinite(len(prompts), width)
        output = self.model.generate(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=room,
                eos_token_id=list(self.end_tokens) or None,
                pad_token_id=next(iter(self.end_tokens), 0),
                stop_strings=list(self.decoding.stop) or None,
            ),
            tokenizer=self.tokenizer,
            logits_processor=LogitsProcessorList([watch, *self._processors(seeds, room, width)]),
        )
        return list(zip(output[:, width:].tolist(), watch.first.tolist(), strict=True))

    def _processors(self, seeds: list[int], room: int, width: int) -> LogitsProcessorList:
        decoding = self.decoding
        if decoding.temperature == 0:
            return LogitsProcessorList()
        processors: list[Any] = [TemperatureLogitsWarper(decoding.temperature)]
        if decoding.top_k > 0:
            processors.append(TopKLogitsWarper(decoding.top_k))
        if decoding.top_p < 1:
            processors.append(TopPLogitsWarper(decoding.top_p))
        draws = [
            torch.rand(room, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            for seed in seeds
        ]
        return LogitsProcessorList([*processors, RowSeededSampling(torch.stack(draws), width)])
