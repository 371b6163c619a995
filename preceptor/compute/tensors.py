"""Whether a model's weights are those that it is made of: what is missing would be made up at random.

transformers itself says so of every load. Of a folder it is known before anything runs: the model is built
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
# Masks and frequencies that older checkpoints keep, and layers that only speculative decoding uses.
BUFFERS = re.compile(r"(attn|attention)\.(masked_)?bias$|inv_freq$|position_ids$|(^|\.)(mtp|nextn)")


def meta_model(model: str, head: Head, vllm: bool = False, own_code: bool = False) -> Any | None:
    """A local folder's model on the meta device: it has shapes, but no memory.

    Raises FolderError, one sentence, for a folder whose files are not this model's. None where the weights
    can only be judged by loading them: they are quantized, bring their own code, or transformers does not
    know their architecture.
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
        raise ConfigError(f"model {model!r}: its config.json cannot be used: {one_line(error)}") from error
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
    """What transformers' loading info says is wrong with a model that it has just built; None for nothing."""
    missing = sorted(info["missing_keys"], key=_natural)
    unexpected = sorted(info["unexpected_keys"], key=_natural)
    if missing:
        whole = f"all {len(missing)} tensors: " if len(missing) >= len(loaded.state_dict()) else ""
        return (
            f"model {model!r}: its weights lack {whole}{_listed(missing)}, which {type(loaded).__name__}"
            f" would make up at random; {_cause(loaded, missing, unexpected)}"
        )
    if mismatched := sorted(info["mismatched_keys"], key=lambda found: _natural(found[0])):
        shapes = [
            f"{name} is {_by(found)} in the file, {_by(wanted)} by config.json"
            for name, found, wanted in mismatched
        ]
        return f"model {model!r}: {_listed(shapes)}; config.json and weights are not of one model"
    return _too_much(model, loaded, unexpected)


def unread_tensors(info: Mapping[str, Any]) -> str | None:
    """The tensors that a load left out, such as another head, in words for a log."""
    return _listed(sorted(info["unexpected_keys"], key=_natural)) if info["unexpected_keys"] else None


def _built(model: str, config: Any, head: Head, vllm: bool) -> Any | None:
    try:
        with torch.device("meta"):
            return AUTO[head].from_config(config, trust_remote_code=False)
    except NotImplementedError:  # an operation that needs memory: only the load itself can tell
        return None
    except Exception as error:
        if vllm and "Unrecognized configuration class" in str(error):
            return None  # vLLM knows architectures that transformers has under no such head
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
            f"model {model!r}: its weights are not {type(built).__name__}'s: {one_line(error)}"
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    if problem := loading_problem(model, loaded, info):
        raise FolderError(problem)
    return loaded


def _too_much(model: str, loaded: Any, unexpected: list[str]) -> str | None:
    """Tensors inside the model's own layers that it would not use, and a reward model taken for another."""
    modules = dict(loaded.named_modules())
    own = {loaded.base_model_prefix, ""}
    extra = [name for name in unexpected if _is_of_body(name, modules, own) and not BUFFERS.search(name)]
    spare = _speculative_layers(loaded.config)
    if extra := [name for name in extra if not spare.intersection(re.findall(r"\.\d+\.", name))]:
        return (
            f"model {model!r}: its weights hold {_listed(extra)}, which {type(loaded).__name__} would leave"
            " out: layers, biases or norms that its config.json does not state"
        )
    architecture = _architecture(loaded.config)
    if unexpected and "Classification" in architecture and "Classification" not in type(loaded).__name__:
        return (
            f"model {model!r}: its config.json names {architecture}, and its weights hold"
            f" {_listed(unexpected)}: a reward model is no language model"
        )
    return None


def _is_of_body(name: str, modules: Mapping[str, Any], own: set[str]) -> bool:
    """Whether a tensor belongs to a module that the model has, or to one more of its numbered layers."""
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
            f"names in the file hold {wrapper!r}, which torch.compile, DistributedDataParallel, FSDP or PEFT"
            f" leave ({unexpected[0]}): take it out of the names"
        )
    if "Classification" in type(loaded).__name__ and "Classification" not in _architecture(loaded.config):
        return (
            f"its config.json names {_architecture(loaded.config)}: a language model is no reward model,"
            " which has a head that was trained"
        )
    output = loaded.get_output_embeddings()
    if output is not None and any(loaded.get_parameter(name) is output.weight for name in missing):
        return (
            "where its output embedding is its input embedding, its config.json must say"
            " 'tie_word_embeddings: true'; else save it whole"
        )
    other = f", and holds {_listed(unexpected)} instead" if unexpected else ""
    return f"the file is not whole, or of another model{other}: fetch or save it again"


def _refuse_wrapped(model: str, tensors: Mapping[str, Tensor]) -> None:
    if wrapped := [(name, found[1]) for name in tensors if (found := WRAPPERS.match(name))]:
        raise FolderError(
            f"model {model!r}: names in the file begin with {wrapped[0][1]!r}"
            f" ({_listed([name for name, _ in wrapped])}), which a wrapper leaves: take it out"
        )


def _refuse_strange_types(model: str, built: Any, tensors: Mapping[str, Tensor]) -> None:
    """Eight bits and fewer mean nothing without the scales that a quantization_config tells of.

    Whole numbers would be taken for weights as they are; only positions and masks are made of them.
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
            " 'quantization_config' that says how to read them"
        )


def _refuse_untied(model: str, loaded: Any, files: list[Path]) -> None:
    """vLLM reads an output embedding from its file only where the config does not tie it to the input's."""
    output = loaded.get_output_embeddings()
    if output is None or not loaded.config.get_text_config().tie_word_embeddings:
        return
    pair = (output.weight, loaded.get_input_embeddings().weight)
    names = [n for n, p in loaded.named_parameters() if any(p is one for one in pair)]
    if len(names) == 2 and not same_tensor(files, names[0], names[1]):
        raise FolderError(
            f"model {model!r}: its config.json ties {names[1]} to {names[0]}, but the file holds another"
            " tensor for each, of which vLLM would read one: set 'tie_word_embeddings: false'"
        )


def _architecture(config: Any) -> str:
    stated = config.to_dict().get("architectures")
    names = stated if isinstance(stated, list) else [stated]
    return str(names[0]) if names and names[0] else "no architecture"


def _reason(config: Any, error: Exception) -> str:
    stated = config.get_text_config().to_dict()
    if isinstance(error, AssertionError):  # torch's, of an embedding's padding_idx
        return (
            f"its config.json says 'pad_token_id: {stated.get('pad_token_id')}', but has"
            f" 'vocab_size: {stated.get('vocab_size')}'"
        )
    return one_line(error)


def one_line(error: BaseException) -> str:
    """An error's text without its line breaks, or its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _by(shape: Any) -> str:
    return " × ".join(str(size) for size in shape)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else -1, part) for part in name.split(".")]
