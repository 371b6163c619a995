"""Load tokenizers and models from complete safetensors. Remote code runs only if the study allows it.

Every problem of a model is reported in one sentence. torch would fill a missing tensor with random numbers
and raise no error.
"""

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers.models import BPE
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from preceptor.compute.attention import caps_attention
from preceptor.compute.configuration import CONFIG, GENERATION, refuse_absurd, refuse_wrong_generation
from preceptor.compute.tensors import (
    loading_problem,
    meta_model,
    one_line,
    unread_tensors,
)
from preceptor.compute.use import Head
from preceptor.compute.vocabulary import embedding_rows, is_panic, tokenizer_problem
from preceptor.compute.weights import INDEX, FolderError, headers, shard_names, weights_named_by

log = logging.getLogger(__name__)
UNLIMITED = 10**9  # callers cut long texts themselves, so the tokenizer should not warn


class ModelError(RuntimeError):
    """A model that cannot be loaded or used. The message names the model and the reason."""


def pick_device(device: str) -> str:
    """Resolve `auto`: the first GPU if there is one, else the CPU."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(model: str, revision: str) -> Any:
    """The tokenizer of a model. Scoring needs character offsets, which only fast tokenizers have."""
    if Path(model, CONFIG).exists():  # transformers also reads it to load a tokenizer
        try:
            refuse_absurd(Path(model), headers(Path(model)))
        except FolderError as problem:
            raise ModelError(str(problem)) from problem
    tokenizer = _load(AutoTokenizer.from_pretrained, model, revision, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise ModelError(f"{model}: the tokenizer has no character offsets; add a tokenizer.json")
    parts = tokenizer.backend_tokenizer.model
    if isinstance(parts, BPE) and parts.dropout:
        raise ModelError(
            f"{model}: its tokenizer.json says 'dropout: {parts.dropout:g}', so a text gets different tokens"
            " each time; set it to null (dropout is for training only)"
        )
    tokenizer.model_max_length = UNLIMITED
    return tokenizer


def load_causal_lm(model: str, revision: str, dtype: str, device: str) -> Any:
    """A language model in evaluation mode. Raises ModelError for incomplete weights."""
    load = AutoModelForCausalLM.from_pretrained
    return _load_weights(load, model, revision, dtype, device, "language model")


def load_classifier(
    model: str, revision: str, dtype: str, device: str, allow_remote_code: bool = False
) -> Any:
    """A sequence classifier in evaluation mode. Raises ModelError for remote code that is not allowed."""
    config = _load(AutoConfig.from_pretrained, model, revision, trust_remote_code=allow_remote_code)
    name = AutoModelForSequenceClassification.__name__
    if not allow_remote_code and name in (config.to_dict().get("auto_map") or {}):
        raise ModelError(
            f"model {model!r} needs its own Python code for its head. Read that code; if you trust it, set"
            " 'allow_remote_code: true' on the reward model and pin its 'revision'"
        )
    load = AutoModelForSequenceClassification.from_pretrained
    return _load_weights(load, model, revision, dtype, device, "classifier", allow_remote_code)


def release_memory() -> None:
    """Free unused memory. torch would keep it, and another process may need it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def context_length(model: Any, max_length: int | None) -> int:
    """The model's context in tokens: its own limit, or `max_length` if that is lower."""
    config = model.config.get_text_config()
    try:
        own = int(config.max_position_embeddings)
    except (AttributeError, TypeError):
        own = None
    limits = [max_length, own if own is not None and own > 0 else None]
    if isinstance(model, torch.nn.Module):
        limits += [
            positions for name, module in model.named_modules() if (positions := _positions(name, module))
        ]
    known = [limit for limit in limits if limit is not None]
    if not known:
        raise ModelError(f"{config.model_type}: the model states no context length; set 'max_length'")
    return min(known)


def refuse_tokenizer(model: str, loaded: Any, tokenizer: Any, prompt_format: str) -> None:
    """Raise ModelError for a tokenizer that produces tokens without an embedding in the model."""
    if problem := tokenizer_problem(tokenizer, embedding_rows(loaded), prompt_format):
        raise ModelError(f"model {model!r}: {problem}")


def _positions(name: str, module: Any) -> int | None:
    """Tokens that a table of learned positions covers. RoBERTa's starts after its padding index."""
    table = name.rpartition(".")[2]
    if not isinstance(module, torch.nn.Embedding) or not ("position" in table or table == "wpe"):
        return None
    if "relative" in table:
        return None
    return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)


def _load_weights(
    load: Callable[..., Any],
    model: str,
    revision: str,
    dtype: str,
    device: str,
    head: Head,
    allow_remote_code: bool = False,
) -> Any:
    try:
        if Path(model).is_dir():
            meta_model(model, head, own_code=allow_remote_code)
            if head == "language model" and (stated := Path(model, GENERATION)).exists():
                refuse_wrong_generation(stated)
        else:
            hub_weights(model, revision)
    except FolderError as error:
        raise ModelError(str(error)) from error
    transformers_logging.disable_progress_bar()
    weights, info = _load(
        load,
        model,
        revision,
        trust_remote_code=allow_remote_code,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # loading_problem below refuses them by name
        output_loading_info=True,
    )
    if problem := loading_problem(model, weights, info):
        raise ModelError(problem)
    if unread := unread_tensors(info):
        log.warning("%s: %s does not use these tensors: %s", model, type(weights).__name__, unread)
    if caps_attention(weights):
        weights.set_attn_implementation("eager")
    return weights.to(device).eval()


def hub_weights(model: str, revision: str) -> list[str]:
    """The names of a hub model's weight files. Raises FolderError if an index names other than safetensors.

    An invalid generation_config.json is refused too, before gigabytes are downloaded.
    """
    config = _hub_file(model, revision, CONFIG)
    named = None if config is None else weights_named_by(config)
    index = _hub_file(model, revision, INDEX if named is None else named)
    if (stated := _hub_file(model, revision, GENERATION)) is not None:
        refuse_wrong_generation(stated)
    return shard_names(index) if index is not None and index.name.endswith(".json") else ["*.safetensors"]


def _hub_file(model: str, revision: str, name: str) -> Path | None:
    """A hub model's file in the local cache; None if the model has no such file."""
    path = _load(
        cached_file,
        model,
        revision,
        filename=name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if path is None else Path(path)


def _load(load: Callable[..., Any], model: str, revision: str, **options: Any) -> Any:
    try:
        return load(model, revision=revision, **options)
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise ModelError(
            f"model {model!r} at revision {revision!r} cannot be loaded: {one_line(error)}"
        ) from error
