"""Tiny random models of the supported families, with the settings that change each family's arithmetic."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.conftest import byte_tokenizer

CONTEXT = 128
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
}
FAMILIES: dict[str, tuple[type[PreTrainedConfig], dict]] = {
    "llama": (LlamaConfig, {}),
    "qwen2": (Qwen2Config, {"tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, {}),
    # Caps small enough to bend these models' logits, and a window that rows outgrow.
    "gemma2": (
        Gemma2Config,
        {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 0.5, "sliding_window": 24}
        | {"query_pre_attn_scalar": 1},
    ),
    "phi3": (Phi3Config, {}),
    # Rows beyond 48 tokens are turned by other factors, and so are all that run beside them.
    "longrope": (
        Phi3Config,
        {
            "original_max_position_embeddings": 48,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "original_max_position_embeddings": 48,
                "short_factor": [1.0] * 4,
                "long_factor": [3.0, 4.0, 5.0, 6.0],
            },
        },
    ),
    "mistral": (MistralConfig, {"sliding_window": 24}),
    "olmo2": (Olmo2Config, {}),
}


def save_family(folder: Path, family: str) -> str:
    """A random model of the family; weights are scaled up so that its distributions are far from uniform."""
    tokenizer = byte_tokenizer()
    config_class, own = FAMILIES[family]
    torch.manual_seed(len(family))
    config = config_class(vocab_size=len(tokenizer), **SIZES, **own)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def reference_varlen(q, k, v, ends, _, __, ___, scale, window_size, enable_gqa):
    """torch's varlen_attn in float64 and plain loops: it runs on GPUs only."""
    out = torch.empty_like(q)
    groups = q.shape[1] // k.shape[1]
    for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        for head in range(q.shape[1]):
            for position in range(start, end):
                first = start if window_size[0] < 0 else max(start, position - window_size[0])
                keys = k[first : position + 1, head // groups].double()
                weights = ((keys @ q[position, head].double()) * scale).softmax(0)
                out[position, head] = weights @ v[first : position + 1, head // groups].double()
    return out
