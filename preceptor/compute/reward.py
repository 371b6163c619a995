"""Rewards from a sequence classifier, batched without changing any row's score."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import torch
from transformers.modeling_layers import GenericForSequenceClassification

from preceptor.compute.backbone import Backbone, choose_backbone, longest_common_row
from preceptor.compute.batches import budget_on, by_length, pad, split_when_full
from preceptor.compute.conversation import Conversation, TemplateProblem, render_text, template_of
from preceptor.compute.load import (
    ModelError,
    context_length,
    load_classifier,
    load_tokenizer,
    pick_device,
    refuse_tokenizer,
)
from preceptor.compute.speed import Speed
from preceptor.compute.vocabulary import embedding_rows, encode, refuse_unknown

ROWS_SORTED_TOGETHER = 2048
Encoded = dict[str, list[int]]


@dataclass(frozen=True)
class Reward:
    """A reward, or the reason why there is none."""

    reward: float | None
    error: str | None = None


class RewardScorer:
    """A sequence classifier as a reward model. `pair` feeds it (instruction, response) as a text pair.

    `allow_remote_code` runs the Python code shipped with the weights. Custom heads such as ArmoRM's need it.
    """

    def __init__(
        self,
        model: str,
        revision: str = "main",
        dtype: str = "float32",
        prompt_format: str = "own",
        label: int | None = None,
        allow_remote_code: bool = False,
        max_length: int | None = None,
        device: str = "auto",
        tokens_per_batch: int = 8192,
        prompt_date: date | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.tokenizer = load_tokenizer(model, revision)
        self.template = (
            None if prompt_format == "pair" else template_of(self.tokenizer, prompt_format, prompt_date)
        )
        self.model = load_classifier(model, revision, dtype, self.device, allow_remote_code)
        refuse_tokenizer(model, self.model, self.tokenizer, prompt_format)
        self.rows = embedding_rows(self.model)
        self.types = int(self.model.config.to_dict().get("type_vocab_size") or 0)
        self.context = context_length(self.model, max_length)
        self.label = label_of(model, self.model.config.num_labels, label)
        self.packed = packed_backbone(self.model, self.device)
        self.longest_common_row = longest_common_row(self.model)
        self.tokens_per_batch = tokens_per_batch
        self.speed = Speed(self.model, self.device)

    @property
    def facts(self) -> dict[str, int | float]:
        """Speed and memory since the last `stream`."""
        return self.speed.facts()

    def score(self, conversations: Sequence[Conversation]) -> list[Reward]:
        """One reward per conversation. An over-long or refused row, or a NaN reward, is an error."""
        return [reward for _, reward in sorted(self.stream(conversations), key=lambda found: found[0])]

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Reward]]:
        """Yield (number of the conversation, its reward) batch by batch, long ones first within a window."""
        self.speed = Speed(self.model, self.device)
        self.budget = budget_on(self.device, self.tokens_per_batch, self.longest_common_row)
        for start in range(0, len(conversations), ROWS_SORTED_TOGETHER):
            window = conversations[start : start + ROWS_SORTED_TOGETHER]
            yield from ((start + number, reward) for number, reward in self._window(window))

    def _window(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Reward]]:
        rows: dict[int, Encoded] = {}
        for number, conversation in enumerate(conversations):
            try:
                rows[number] = self._encode(conversation)
            except TemplateProblem as problem:
                yield number, Reward(None, str(problem))
        numbers = list(rows)
        lengths = [len(rows[n]["input_ids"]) for n in numbers]
        for batch in by_length(lengths, self.budget):
            chosen = [numbers[i] for i in batch]
            tokens = len(chosen) * len(rows[chosen[0]]["input_ids"])
            values = split_when_full([rows[n] for n in chosen], tokens, self._forward, self.budget)
            for number, value in zip(chosen, values, strict=True):
                yield number, _reward(value, len(rows[number]["input_ids"]))

    def _encode(self, conversation: Conversation) -> Encoded:
        if self.template is None:
            told = conversation.messages(len(conversation.user), 0)
            prompt = "\n\n".join(message["content"] for message in told)
            encoded = dict(encode(self.tokenizer, prompt, "\n\n".join(conversation.assistant)))
        else:
            text = render_text(self.tokenizer, self.template, conversation)
            encoded = dict(encode(self.tokenizer, text, add_special_tokens=False))
        if not encoded["input_ids"]:
            raise TemplateProblem("the conversation has no tokens for the reward model")
        refuse_unknown(self.tokenizer, encoded["input_ids"], self.rows)
        if (highest := max(encoded.get("token_type_ids", []), default=0)) >= self.types > 0:
            raise TemplateProblem(
                f"the tokenizer gives a token the type {highest}, but the reward model has only {self.types}"
                " types; remove 'token_type_ids' from the tokenizer"
            )
        if len(encoded["input_ids"]) > self.context:
            raise TemplateProblem(
                f"{len(encoded['input_ids'])} tokens, but the reward model's context is {self.context}"
            )
        return encoded

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Encoded]) -> list[float]:
        with self.speed.passing([len(row["input_ids"]) for row in rows], scored=0):
            logits = self._packed_logits(rows) if self.packed else self._padded_logits(rows)
            # A custom head may return one score per row instead of one column per label.
            values: list[float] = (logits if logits.ndim == 1 else logits[:, self.label]).float().tolist()
        return values

    def _packed_logits(self, rows: Sequence[Encoded]) -> torch.Tensor:
        assert self.packed is not None
        states = self.packed.hidden([row["input_ids"] for row in rows])
        scores: torch.Tensor = self.model.score(torch.stack([of_row[-1] for of_row in states]))
        return scores

    def _padded_logits(self, rows: Sequence[Encoded]) -> torch.Tensor:
        pad_id = _unused_id([row["input_ids"] for row in rows], self.tokenizer.pad_token_id, self.rows)
        # Decoder classifiers read the last token that is not the pad token, so no row may contain it. If EOS
        # were also the pad token, a row that ends in EOS would be read one token too early.
        self.model.config.get_text_config().pad_token_id = pad_id
        ids, mask = pad([row["input_ids"] for row in rows], pad_id, self.device)
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in rows[0]:
            inputs["token_type_ids"], _ = pad([row["token_type_ids"] for row in rows], 0, self.device)
        logits: torch.Tensor = self.model(**inputs).logits
        return logits


def packed_backbone(model: Any, device: str) -> Backbone | None:
    """A backbone for packed rows, on a GPU for decoders with transformers' own head; else None."""
    if not device.startswith("cuda") or not isinstance(model, GenericForSequenceClassification):
        return None
    model.config.get_text_config().pad_token_id = None  # makes the model read a single row at its end
    try:
        backbone = choose_backbone(model, device, lambda states: model.score(states[-1]).float())
    except ModelError:  # a custom head under transformers' class name
        return None
    return backbone if backbone.packed else None


def _reward(value: float | None, tokens: int) -> Reward:
    if value is None:
        reason = f"out of memory: the row's {tokens:,} tokens do not fit even alone; set 'max_length'"
        return Reward(None, reason)
    return Reward(value) if math.isfinite(value) else Reward(None, f"the reward is {value}")


def label_of(model: str, labels: int, label: int | None) -> int:
    """The classifier label that is the reward. Raises ModelError if it is not set or does not exist."""
    if label is None and labels != 1:
        raise ModelError(
            f"{model}: the classifier has {labels} labels; set 'label' to the one that is the reward"
        )
    if label is not None and label >= labels:
        raise ModelError(
            f"{model}: 'label' is {label}, but the classifier has only {labels} labels, counted from 0"
        )
    return label or 0


def _unused_id(rows: list[list[int]], preferred: int | None, known: int) -> int:
    """The tokenizer's pad id if the model knows it and no row contains it, else the lowest unused id."""
    used = set().union(*rows)
    if preferred is not None and preferred < known and preferred not in used:
        return preferred
    return next(number for number in range(len(used) + 1) if number not in used)
