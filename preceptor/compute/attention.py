"""How rows lie in a forward pass: padded side by side on a CPU, packed end to end on a GPU.

Packed rows are told apart by their positions, which begin anew with each. `varlen` is FlashAttention as torch
has it; `flex_attention` builds a block mask and also serves models that cap attention logits (Gemma-2).
"""

from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface

PACKED = ("varlen", "flex_attention")
# Those that tests hold against one row at a time. Others may have a window in their mask only, unseen here.
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

    Raises ValueError for what it cannot do, so that another implementation is taken.
    """
    if softcap is not None or cu_seq_lens_q is None:
        raise ValueError("varlen attention takes packed rows and no soft-capped attention logits")
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
    """Row ends travel as `cu_seq_lens_q` instead."""


AttentionInterface.register("varlen", varlen_attention)
AttentionMaskInterface.register("varlen", _no_mask)


def caps_attention(model: Any) -> bool:
    """Whether attention logits are capped (Gemma-2), which transformers' default `sdpa` leaves out unsaid."""
    return model.config.get_text_config().to_dict().get("attn_logit_softcapping") is not None


def pack(rows: list[list[int]], device: str) -> dict[str, Any]:
    """Rows end to end as a model's inputs: ids and positions, both (1, tokens), and where each row ends."""
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
