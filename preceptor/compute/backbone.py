"""Hidden states of rows of any lengths, under the body of a causal language model, without its head."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from preceptor.compute.attention import PACKED, VARLEN_FAMILIES, caps_attention, pack
from preceptor.compute.batches import pad
from preceptor.compute.load import ModelError

log = logging.getLogger(__name__)
PROBE, PROBE_ON_GPU = (9, 5), (300, 170)  # tokens of two rows; GPUs have other kernels for the shortest


class Backbone:
    """A model's layers. `attention` is one of PACKED for packed rows; else rows are padded."""

    def __init__(self, model: Any, device: str, attention: str | None = None) -> None:
        self.body = model.base_model
        self.device = device
        self.packed = attention in PACKED
        if attention is not None:
            model.set_attn_implementation(attention)

    def hidden(self, rows: Sequence[list[int]]) -> list[torch.Tensor]:
        """Per row, (tokens, width): the last layer's normalised states."""
        if self.packed:
            states = self.body(**pack(list(rows), self.device), use_cache=False).last_hidden_state[0]
            return list(states.split([len(row) for row in rows]))
        ids, mask = pad(rows, pad_id=0, device=self.device)
        states = self.body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return [states[number, : len(row)] for number, row in enumerate(rows)]

    def behind_prompt(
        self, prompt: list[int], rows: Sequence[list[int]]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """States of a prompt, run once, and of each row as its continuation."""
        start = self.body(input_ids=torch.tensor([prompt], device=self.device), use_cache=True)
        cache = start.past_key_values
        cache.batch_repeat_interleave(len(rows))
        ids, mask = pad(rows, pad_id=0, device=self.device)
        seen = torch.cat([mask.new_ones((len(rows), len(prompt))), mask], dim=1)
        states = self.body(input_ids=ids, attention_mask=seen, past_key_values=cache).last_hidden_state
        return start.last_hidden_state[0], [states[n, : len(row)] for n, row in enumerate(rows)]


@torch.inference_mode()
def choose_backbone(model: Any, device: str, ours: Callable[[torch.Tensor], torch.Tensor]) -> Backbone:
    """The fastest way to run rows that gives this model's own logits: packed on a GPU, else padded.

    `ours` makes a row's logits of its hidden states. Raises ModelError where even padded rows differ.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    on_gpu = device.startswith("cuda")
    rows = [_made_up(n, vocabulary) for n in (PROBE_ON_GPU if on_gpu else PROBE)]
    expected = [model(input_ids=torch.tensor([row], device=device)).logits[0].float() for row in rows]
    padded = "eager" if caps_attention(model) else "sdpa"
    packed = [name for name in PACKED if name != "varlen" or model.config.model_type in VARLEN_FAMILIES]
    for attention in (*packed, padded) if on_gpu else (None,):
        try:
            backbone = Backbone(model, device, attention)
            found = [ours(states) for states in backbone.hidden(rows)]
        except Exception as error:  # whatever a kernel says, the next one may do
            if attention not in PACKED:
                raise
            log.info("%s is not for this model: %s", attention, error)
            continue
        if all(_close(a, b) for a, b in zip(found, expected, strict=True)):
            if backbone.packed:
                log.info("rows are packed end to end, by %s", attention)
            return backbone
        log.info("%s gives other logits than the model itself", attention or "this pass")
    raise ModelError(
        f"{model.config.model_type}: its logits are not its output embedding applied to its last hidden"
        " state; scoring does not know this architecture"
    )


@torch.inference_mode()
def shares_prompts(backbone: Backbone) -> bool:
    """Whether rows behind a prompt that ran once are as if it ran for each: not all caches can do that."""
    if backbone.packed:
        return False
    whole = [_made_up(n, 50) for n in PROBE]
    prompt, rows = whole[0][:4], [whole[0][4:], whole[1]]
    try:
        _, found = backbone.behind_prompt(prompt, rows)
        expected = backbone.hidden([prompt + row for row in rows])
    except Exception as error:  # recurrent layers keep no such cache
        log.info("prompts are not shared: %s", error)
        return False
    return all(_close(a.float(), b[4:].float()) for a, b in zip(found, expected, strict=True))


def longest_common_row(model: Any) -> int | None:
    """Rows beyond this change how positions are turned for the whole batch: each must run alone (LongRoPE).

    Raises ModelError for `dynamic`, whose frequencies also depend on the rows before.
    """
    rope = model.config.get_text_config().to_dict().get("rope_parameters") or {}
    kind = rope.get("rope_type")
    if kind == "dynamic":
        raise ModelError(
            "rope_type 'dynamic': a row's numbers would depend on the rows that ran before it; set rope_type"
            " in the model's config.json to 'default' and 'max_length' to its original context"
        )
    return int(rope["original_max_position_embeddings"]) if kind == "longrope" else None


def _made_up(tokens: int, vocabulary: int) -> list[int]:
    return [1 + (7 * i + tokens) % (vocabulary - 1) for i in range(tokens)]


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Within a hundredth of the largest logit: the model rounds its own to its type, ours stay in float32."""
    room = 0.01 * float(expected.abs().max()) + 1e-3
    return bool((found - expected).abs().max() <= room) or not bool(expected.isfinite().all())
