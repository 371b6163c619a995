"""Load tokenizers and models: safetensors only, no remote code, one clear sentence when it fails."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

UNLIMITED = 10**9  # what is too long is for the caller to cut, not for the tokenizer to warn about


class ModelError(RuntimeError):
    """A model that cannot be loaded or used; its text says which and why."""


def pick_device(device: str) -> str:
    """`auto` is the first GPU where there is one, else the CPU."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(model: str, revision: str) -> Any:
    """The tokenizer of a model. Scoring needs offsets, which only fast tokenizers give."""
    tokenizer = _load(AutoTokenizer.from_pretrained, model, revision)
    if not tokenizer.is_fast:
        raise ModelError(f"{model}: its tokenizer gives no character offsets; a tokenizer.json is needed")
    tokenizer.model_max_length = UNLIMITED
    return tokenizer


def load_causal_lm(model: str, revision: str, dtype: str, device: str) -> Any:
    """A language model in evaluation mode."""
    return _load_weights(AutoModelForCausalLM.from_pretrained, model, revision, dtype, device)


def load_classifier(model: str, revision: str, dtype: str, device: str) -> Any:
    """A sequence classifier in evaluation mode."""
    return _load_weights(AutoModelForSequenceClassification.from_pretrained, model, revision, dtype, device)


def context_length(model: Any, max_length: int | None) -> int:
    """How many tokens the model can see: its own limit, or less where `max_length` says so."""
    config = model.config.get_text_config()
    try:
        own = int(config.max_position_embeddings)
    except (AttributeError, TypeError):
        own = None
    if own is None and max_length is None:
        raise ModelError(f"{config.model_type}: the model states no context length; set 'max_length'")
    return min(length for length in (own, max_length) if length is not None)


def _load_weights(load: Callable[..., Any], model: str, revision: str, dtype: str, device: str) -> Any:
    transformers_logging.disable_progress_bar()
    weights = _load(load, model, revision, dtype=getattr(torch, dtype), use_safetensors=True)
    return weights.to(device).eval()


def _load(load: Callable[..., Any], model: str, revision: str, **options: Any) -> Any:
    try:
        return load(model, revision=revision, trust_remote_code=False, **options)
    except Exception as error:
        raise ModelError(f"model {model!r} at revision {revision!r} cannot be loaded: {error}") from error
