"""Hidden states of rows of any length, from the body of a causal language model without its head."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from preceptor.compute.attention import PACKED, VARLEN_FAMILIES, caps_attention, pack
from preceptor.compute.batches import pad
from preceptor.compute.load import ModelError

log = logging.getLogger(__name__)
PROBE, PROBE_ON_GPU = (9, 5), (300, 170)  # tokens of two rows; GPUs use other kernels for very short rows


class Backbone:
    """A model's layers. Rows are packed if `attention` is in PACKED, else padded."""

    def __init__(self, model: Any, device: str, attention: str | None = None) -> None:
        self.body = model.base_model
        self.device = device
        self.packed = attention in PACKED
        if attention is not None:
            model.set_attn_implementation(attention)

    def hidden(self, rows: Sequence[list[int]]) -> list[torch.Tensor]:
        """The last layer's normalised states of each row: (tokens, width)."""
        if self.packed:
            states = self.body(**pack(list(rows), self.device), use_cache=False).last_hidden_state[0]
            return list(states.split([len(row) for row in rows]))
        ids, mask = pad(rows, pad_id=0, device=self.device)
        states = self.body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return [states[number, : len(row)] for number, row in enumerate(rows)]

    def behind_prompt(
        self, prompt: list[int], rows: Sequence[list[int]]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """States of a prompt, which runs once, and of each row that continues it."""
        start = self.body(input_ids=torch.tensor([prompt], device=self.device), use_cache=True)
        cache = start.past_key_values
        cache.batch_repeat_interleave(len(rows))
        ids, mask = pad(rows, pad_id=0, device=self.device)
        seen = torch.cat([mask.new_ones((len(rows), len(prompt))), mask], dim=1)
        states = self.body(input_ids=ids, attention_mask=seen, past_key_values=cache).last_hidden_state
        return start.last_hidden_state[0], [states[n, : len(row)] for n, row in enumerate(rows)]


@torch.inference_mode()
def choose_backbone(model: Any, device: str, ours: Callable[[torch.Tensor], torch.Tensor]) -> Backbone:
    """The fastest layout that reproduces the model's own logits: packed on a GPU, else padded.

    `ours` computes a row's logits from its hidden states. Raises ModelError if even padded rows differ.
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
        except Exception as error:  # kernels raise many kinds of error; the next one may work
            if attention not in PACKED:
                raise
            log.info("%s does not support this model: %s", attention, error)
            continue
        if all(_close(a, b) for a, b in zip(found, expected, strict=True)):
            if backbone.packed:
                log.info("rows are packed end to end with %s", attention)
            return backbone
        log.info("%s gives different logits from the model itself", attention or "this pass")
    raise ModelError(
        f"{model.config.model_type}: the output embedding applied to the last hidden state does not give the"
        " model's logits; scoring does not support this architecture"
    )


@torch.inference_mode()
def shares_prompts(backbone: Backbone) -> bool:
    """Whether rows that share one run of a prompt get their usual states. Not all caches allow it."""
    if backbone.packed:
        return False
    whole = [_made_up(n, 50) for n in PROBE]
    prompt, rows = whole[0][:4], [whole[0][4:], whole[1]]
    try:
        _, found = backbone.behind_prompt(prompt, rows)
        expected = backbone.hidden([prompt + row for row in rows])
    except Exception as error:  # recurrent layers have no such cache
        log.info("prompts are not shared: %s", error)
        return False
    return all(_close(a.float(), b[4:].float()) for a, b in zip(found, expected, strict=True))


def longest_common_row(model: Any) -> int | None:
    """Longest row that may share a batch; None without such a limit.

    With LongRoPE a longer row changes the position encoding of its whole batch, so it must run alone.
    Raises ModelError for rope_type `dynamic`, whose frequencies also depend on earlier rows.
    """
    rope = model.config.get_text_config().to_dict().get("rope_parameters") or {}
    kind = rope.get("rope_type")
    if kind == "dynamic":
        raise ModelError(
            "rope_type 'dynamic': a row's result would depend on the rows before it; in the model's"
            " config.json set rope_type to 'default', and set 'max_length' to the model's original context"
        )
    return int(rope["original_max_position_embeddings"]) if kind == "longrope" else None


def _made_up(tokens: int, vocabulary: int) -> list[int]:
    return [1 + (7 * i + tokens) % (vocabulary - 1) for i in range(tokens)]


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Within 1 % of the largest logit: the model rounds its logits to its dtype, ours stay in float32."""
    room = 0.01 * float(expected.abs().max()) + 1e-3
    return bool((found - expected).abs().max() <= room) or not bool(expected.isfinite().all())
