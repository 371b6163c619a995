"""Load tokenizers and models: safetensors only, remote code only where allowed, a sentence when it fails."""

import gc
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from preceptor.compute.attention import caps_attention
from preceptor.compute.weights import model_problem

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


def load_classifier(
    model: str, revision: str, dtype: str, device: str, allow_remote_code: bool = False
) -> Any:
    """A sequence classifier in evaluation mode. Raises ModelError for remote code that is not allowed."""
    config = _load(AutoConfig.from_pretrained, model, revision, trust_remote_code=allow_remote_code)
    name = AutoModelForSequenceClassification.__name__
    if not allow_remote_code and name in (config.to_dict().get("auto_map") or {}):
        raise ModelError(
            f"model {model!r} brings its own Python for its head. Read that code; if you trust it, set"
            " 'allow_remote_code: true' on the reward model, and pin its 'revision'"
        )
    return _load_weights(
        AutoModelForSequenceClassification.from_pretrained, model, revision, dtype, device, allow_remote_code
    )


def release_memory() -> None:
    """Give back what no model uses any more: torch keeps it otherwise, and another process may need it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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


def _load_weights(
    load: Callable[..., Any],
    model: str,
    revision: str,
    dtype: str,
    device: str,
    allow_remote_code: bool = False,
) -> Any:
    if problem := model_problem(model):
        raise ModelError(problem)
    transformers_logging.disable_progress_bar()
    options = {"dtype": getattr(torch, dtype), "use_safetensors": True}
    weights = _load(load, model, revision, trust_remote_code=allow_remote_code, **options)
    if caps_attention(weights):
        weights.set_attn_implementation("eager")
    return weights.to(device).eval()


def _load(load: Callable[..., Any], model: str, revision: str, **options: Any) -> Any:
    try:
        return load(model, revision=revision, **{"trust_remote_code": False, **options})
    except Exception as error:
        raise ModelError(f"model {model!r} at revision {revision!r} cannot be loaded: {error}") from error
