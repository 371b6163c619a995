"""Layout of rows in a forward pass: padded on a CPU, packed end to end on a GPU.

Positions restart with each packed row and so separate the rows. `varlen` is torch's FlashAttention.
`flex_attention` builds a block mask and also supports models that cap attention logits (Gemma-2).
"""

from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface

PACKED = ("varlen", "flex_attention")
# Tests compare these with one row at a time. Other families may keep a window in the mask, unseen by varlen.
VARLEN_FAMILIES = ("llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3")


def varlen_attention(
    module: torch.nn.Module,  # noqa: ARG001 - transformers' interface
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each packed row. (1, heads, tokens, size) in, (1, tokens, heads, size) out.

    Raises ValueError for unsupported inputs, so that the caller tries another implementation.
    """
    if softcap is not None or cu_seq_lens_q is None:
        raise ValueError("varlen attention needs packed rows and does not support capped attention logits")
    left = -1 if sliding_window is None else sliding_window - 1
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    attended = varlen_attn(
        q,
        k,
        v,
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=(left, 0),
        enable_gqa=True,
    )
    assert isinstance(attended, torch.Tensor)
    return attended.unsqueeze(0), None


def _no_mask(*_: Any, **__: Any) -> None:
    """Build no mask: `cu_seq_lens_q` marks where rows end."""


AttentionInterface.register("varlen", varlen_attention)
AttentionMaskInterface.register("varlen", _no_mask)


def caps_attention(model: Any) -> bool:
    """Whether the model caps attention logits (Gemma-2), which transformers' default `sdpa` ignores."""
    return model.config.get_text_config().to_dict().get("attn_logit_softcapping") is not None


def pack(rows: list[list[int]], device: str) -> dict[str, Any]:
    """A model's inputs for packed rows: ids and positions, both (1, tokens), and where each row ends."""
    lengths = torch.tensor([len(row) for row in rows])
    ends = torch.cat([torch.zeros(1, dtype=torch.int32), lengths.cumsum(0).int()]).to(device)
    return {
        "input_ids": torch.tensor([token for row in rows for token in row], device=device).unsqueeze(0),
        "position_ids": torch.cat([torch.arange(len(row)) for row in rows]).unsqueeze(0).to(device),
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": int(lengths.max()),
        "max_length_k": int(lengths.max()),
    }
