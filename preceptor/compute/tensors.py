"""Check that a model's weights are complete. transformers would fill missing tensors with random numbers.

transformers reports missing tensors after each load. A local folder is checked earlier: the model is built
without memory, on torch's meta device, and loaded from the names and shapes in the files' headers.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from preceptor.compute.configuration import refuse_absurd
from preceptor.compute.use import Head
from preceptor.compute.weights import (
    ConfigError,
    FolderError,
    Tensor,
    read_object,
    read_tensors,
    same_tensor,
    weight_files,
)

AUTO = {"language model": AutoModelForCausalLM, "classifier": AutoModelForSequenceClassification}
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
NAMED = 6
WRAPPERS = re.compile(
    r"(?:^|\.)((?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_model\.model)\.)"
)
# Masks and frequencies that older checkpoints contain, and layers that only speculative decoding uses.
BUFFERS = re.compile(r"(attn|attention)\.(masked_)?bias$|inv_freq$|position_ids$|(^|\.)(mtp|nextn)")


def meta_model(model: str, head: Head, vllm: bool = False, own_code: bool = False) -> Any | None:
    """A local folder's model on the meta device: shapes without memory.

    None if the weights can only be checked by loading them: they are quantized, need their own code, or have
    an architecture that transformers does not know. Raises FolderError, one sentence, if the files do not
    make up the model.
    """
    folder = Path(model)
    files = weight_files(folder, vllm)
    tensors = read_tensors(files)
    refuse_absurd(folder, tensors)
    if own_code and "auto_map" in read_object(folder / "config.json"):
        return None
    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    except Exception as error:
        raise ConfigError(f"model {model!r}: config.json cannot be used: {one_line(error)}") from error
    if config.to_dict().get("quantization_config"):
        _refuse_wrapped(model, tensors)
        return None
    built = _built(model, config, head, vllm)
    if built is None:
        _refuse_wrapped(model, tensors)
        return None
    _refuse_strange_types(model, built, tensors)
    loaded = _compared(model, built, tensors)
    if vllm:
        _refuse_untied(model, loaded, files)
    return loaded


def loading_problem(model: str, loaded: Any, info: Mapping[str, Any]) -> str | None:
    """The problem that transformers' loading info shows for a model it has just built; None without one."""
    missing = sorted(info["missing_keys"], key=_natural)
    unexpected = sorted(info["unexpected_keys"], key=_natural)
    if missing:
        whole = f"all {len(missing)} tensors: " if len(missing) >= len(loaded.state_dict()) else ""
        return (
            f"model {model!r}: its weights lack {whole}{_listed(missing)}, which {type(loaded).__name__}"
            f" would fill with random numbers; {_cause(loaded, missing, unexpected)}"
        )
    if mismatched := sorted(info["mismatched_keys"], key=lambda found: _natural(found[0])):
        shapes = [
            f"{name} is {_by(found)} in the file, but {_by(wanted)} in config.json"
            for name, found, wanted in mismatched
        ]
        return f"model {model!r}: {_listed(shapes)}; config.json and the weights belong to different models"
    return _too_much(model, loaded, unexpected)


def unread_tensors(info: Mapping[str, Any]) -> str | None:
    """The tensors that a load ignored, such as another head, listed for the log; None if there are none."""
    return _listed(sorted(info["unexpected_keys"], key=_natural)) if info["unexpected_keys"] else None


def _built(model: str, config: Any, head: Head, vllm: bool) -> Any | None:
    try:
        with torch.device("meta"):
            return AUTO[head].from_config(config, trust_remote_code=False)
    except NotImplementedError:  # an operation that needs memory; only the real load can check this model
        return None
    except Exception as error:
        if vllm and "Unrecognized configuration class" in str(error):
            return None  # vLLM supports architectures for which transformers has no such head
        raise FolderError(f"model {model!r} cannot be built as a {head}: {_reason(config, error)}") from error


def _compared(model: str, built: Any, tensors: Mapping[str, Tensor]) -> Any:
    header = {
        name: torch.empty(t.shape, dtype=DTYPES.get(t.dtype, torch.uint8), device="meta")
        for name, t in tensors.items()
    }
    transformers_logging.disable_progress_bar()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)  # its report is a table of many lines
    try:
        loaded, info = type(built).from_pretrained(
            None,
            config=built.config,
            state_dict=header,
            device_map={"": "meta"},
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise FolderError(
            f"model {model!r}: its weights do not load into {type(built).__name__}: {one_line(error)}"
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    if problem := loading_problem(model, loaded, info):
        raise FolderError(problem)
    return loaded


def _too_much(model: str, loaded: Any, unexpected: list[str]) -> str | None:
    """The problem of unused tensors inside the layers, or of a reward model used as a language model."""
    modules = dict(loaded.named_modules())
    own = {loaded.base_model_prefix, ""}
    extra = [name for name in unexpected if _is_of_body(name, modules, own) and not BUFFERS.search(name)]
    spare = _speculative_layers(loaded.config)
    if extra := [name for name in extra if not spare.intersection(re.findall(r"\.\d+\.", name))]:
        return (
            f"model {model!r}: its weights contain {_listed(extra)}, which {type(loaded).__name__} would"
            " ignore; add these layers, biases or norms to its config.json"
        )
    architecture = _architecture(loaded.config)
    if unexpected and "Classification" in architecture and "Classification" not in type(loaded).__name__:
        return (
            f"model {model!r}: its config.json names {architecture}, and its weights contain"
            f" {_listed(unexpected)}; a reward model cannot be used as a language model"
        )
    return None


def _is_of_body(name: str, modules: Mapping[str, Any], own: set[str]) -> bool:
    """Whether a tensor belongs to a module of the model, or to a further numbered layer."""
    parts = name.split(".")
    if (parent := ".".join(parts[:-1])) in modules and parent not in own:
        return True
    return any(part.isdigit() and ".".join(parts[:n]) in modules for n, part in enumerate(parts) if n)


def _speculative_layers(config: Any) -> set[str]:
    text = config.get_text_config().to_dict()
    count, layers = text.get("num_nextn_predict_layers") or 0, text.get("num_hidden_layers") or 0
    return {f".{layers + n}." for n in range(count)}


def _cause(loaded: Any, missing: list[str], unexpected: list[str]) -> str:
    wrapper = next((found[1] for name in unexpected if (found := WRAPPERS.search(name))), None)
    if wrapper is not None:
        return (
            f"tensor names in the file contain {wrapper!r}, which torch.compile, DistributedDataParallel,"
            f" FSDP or PEFT add ({unexpected[0]}); remove it from the names"
        )
    if "Classification" in type(loaded).__name__ and "Classification" not in _architecture(loaded.config):
        return (
            f"its config.json names {_architecture(loaded.config)}; a language model cannot be used as a"
            " reward model, because it has no trained reward head"
        )
    output = loaded.get_output_embeddings()
    if output is not None and any(loaded.get_parameter(name) is output.weight for name in missing):
        return (
            "if its output embedding is its input embedding, set 'tie_word_embeddings: true' in its"
            " config.json; if not, save the model with both"
        )
    other = f", and contains {_listed(unexpected)} instead" if unexpected else ""
    return f"the file is incomplete or belongs to another model{other}; download or save it again"


def _refuse_wrapped(model: str, tensors: Mapping[str, Tensor]) -> None:
    if wrapped := [(name, found[1]) for name in tensors if (found := WRAPPERS.match(name))]:
        raise FolderError(
            f"model {model!r}: tensor names in the file begin with {wrapped[0][1]!r}"
            f" ({_listed([name for name, _ in wrapped])}), which a wrapper adds; remove it from the names"
        )


def _refuse_strange_types(model: str, built: Any, tensors: Mapping[str, Tensor]) -> None:
    """Refuse dtypes that cannot be weights as they are.

    Types of eight bits or fewer need the scales of a quantization_config. Integers are valid for positions
    and masks only.
    """
    counted = {name.rpartition(".")[2] for name, _ in built.named_buffers()} - {"weight", "bias"}
    strange = [
        name
        for name, tensor in tensors.items()
        if tensor.dtype not in DTYPES and name.rpartition(".")[2] not in counted and not BUFFERS.search(name)
    ]
    if strange:
        raise FolderError(
            f"model {model!r}: {_listed(strange)} are {tensors[strange[0]].dtype}, but its config.json has no"
            " 'quantization_config' that defines how to read them"
        )


def _refuse_untied(model: str, loaded: Any, files: list[Path]) -> None:
    """vLLM reads a separate output embedding only if the config does not tie it to the input embedding."""
    output = loaded.get_output_embeddings()
    if output is None or not loaded.config.get_text_config().tie_word_embeddings:
        return
    pair = (output.weight, loaded.get_input_embeddings().weight)
    names = [n for n, p in loaded.named_parameters() if any(p is one for one in pair)]
    if len(names) == 2 and not same_tensor(files, names[0], names[1]):
        raise FolderError(
            f"model {model!r}: its config.json ties {names[1]} to {names[0]}, but the file contains two"
            " different tensors and vLLM would read only one; set 'tie_word_embeddings: false'"
        )


def _architecture(config: Any) -> str:
    stated = config.to_dict().get("architectures")
    names = stated if isinstance(stated, list) else [stated]
    return str(names[0]) if names and names[0] else "no architecture"


def _reason(config: Any, error: Exception) -> str:
    stated = config.get_text_config().to_dict()
    if isinstance(error, AssertionError):  # torch raises it for an embedding's padding_idx
        return (
            f"its config.json says 'pad_token_id: {stated.get('pad_token_id')}', but has"
            f" 'vocab_size: {stated.get('vocab_size')}'"
        )
    return one_line(error)


def one_line(error: BaseException) -> str:
    """An error's text on one line, or its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _by(shape: Any) -> str:
    return " × ".join(str(size) for size in shape)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else -1, part) for part in name.split(".")]
