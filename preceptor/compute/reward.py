"""Rewards from a sequence classifier, batched so that each row's score is what it gets alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from preceptor.compute.batches import by_length, pad
from preceptor.compute.conversation import Conversation, TemplateProblem, render, template_of
from preceptor.compute.load import (
    ModelError,
    context_length,
    load_classifier,
    load_tokenizer,
    pick_device,
)


@dataclass(frozen=True)
class Reward:
    """A score, or why there is none."""

    reward: float | None
    error: str | None = None


class RewardScorer:
    """A sequence classifier as a reward model. `pair` feeds it (instruction, response) as a text pair."""

    def __init__(
        self,
        model: str,
        revision: str = "main",
        dtype: str = "float32",
        prompt_format: str = "own",
        label: int | None = None,
        max_length: int | None = None,
        device: str = "auto",
        tokens_per_batch: int = 8192,
    ) -> None:
        self.device = pick_device(device)
        self.tokenizer = load_tokenizer(model, revision)
        self.template = None if prompt_format == "pair" else template_of(self.tokenizer, prompt_format)
        self.model = load_classifier(model, revision, dtype, self.device)
        self.context = context_length(self.model, max_length)
        self.label = _label(model, self.model.config.num_labels, label)
        self.tokens_per_batch = tokens_per_batch

    def score(self, conversations: Sequence[Conversation]) -> list[Reward]:
        """One reward per conversation; an over-long, refused or NaN one is an error, never a number."""
        rewards: list[Reward] = [Reward(None)] * len(conversations)
        rows: dict[int, dict[str, list[int]]] = {}
        for number, conversation in enumerate(conversations):
            try:
                encoded = self._encode(conversation)
            except TemplateProblem as problem:
                rewards[number] = Reward(None, str(problem))
                continue
            length = len(encoded["input_ids"])
            if length > self.context:
                text = f"{length} tokens, but the reward model sees {self.context}"
                rewards[number] = Reward(None, text)
            else:
                rows[number] = encoded
        numbers = list(rows)
        for batch in by_length([len(rows[n]["input_ids"]) for n in numbers], self.tokens_per_batch):
            chosen = [numbers[i] for i in batch]
            for number, value in zip(chosen, self._forward([rows[n] for n in chosen]), strict=True):
                rewards[number] = (
                    Reward(value) if math.isfinite(value) else Reward(None, f"reward is {value}")
                )
        return rewards

    def _encode(self, conversation: Conversation) -> dict[str, list[int]]:
        if self.template is None:
            prompt = "\n\n".join(conversation.user)
            return dict(self.tokenizer(prompt, "\n\n".join(conversation.assistant)))
        text = render(self.tokenizer, self.template, conversation).text
        return dict(self.tokenizer(text, add_special_tokens=False))

    @torch.inference_mode()
    def _forward(self, rows: list[dict[str, list[int]]]) -> list[float]:
        pad_id = _unused_id([row["input_ids"] for row in rows], self.tokenizer.pad_token_id)
        # Decoder classifiers read the last token that is not this one, so it must stand in no row: where
        # EOS doubles as pad, a row that ends in EOS would otherwise be read one token early.
        self.model.config.get_text_config().pad_token_id = pad_id
        ids, mask = pad([row["input_ids"] for row in rows], pad_id, self.device)
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in rows[0]:
            inputs["token_type_ids"], _ = pad([row["token_type_ids"] for row in rows], 0, self.device)
        values: list[float] = self.model(**inputs).logits[:, self.label].float().tolist()
        return values


def _label(model: str, labels: int, label: int | None) -> int:
    if label is None and labels != 1:
        raise ModelError(
            f"{model}: the classifier has {labels} labels; 'label' must say which one is the reward"
        )
    if label is not None and label >= labels:
        raise ModelError(f"{model}: label {label} is beyond the classifier's {labels} labels")
    return label or 0


def _unused_id(rows: list[list[int]], preferred: int | None) -> int:
    """The tokenizer's pad id if no row holds it, else the lowest id that none holds."""
    used = set().union(*rows)
    if preferred is not None and preferred not in used:
        return preferred
    return next(number for number in range(len(used) + 1) if number not in used)
