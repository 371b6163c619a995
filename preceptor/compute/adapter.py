"""Check that a LoRA adapter fits its model. PEFT silently ignores tensors that match no module."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from preceptor.compute.weights import (
    ADAPTER_WEIGHTS,
    FolderError,
    Tensor,
    adapter_problem,
    read_object,
    read_tensors,
)

PREFIX = "base_model.model."
PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B)\.weight$|(?P<table>.+)\.lora_embedding_(?P<side>[AB])$"
)
CONFIG = "adapter_config.json"


def refuse_adapter(adapter: str, meta: Any | None) -> None:
    """Raise FolderError unless the folder is a LoRA adapter of this model.

    With `meta` None the model is unknown, and only the adapter's own files are checked.
    """
    if problem := adapter_problem(adapter):
        raise FolderError(problem)
    file = Path(adapter, ADAPTER_WEIGHTS)
    tensors = read_tensors([file])
    pairs = _pairs(file, tensors)
    config = read_object(Path(adapter, CONFIG))
    for module, (first, second) in pairs.items():
        if first.shape[0] != (rank := _rank(config, module)) or second.shape[-1] != rank:
            raise FolderError(
                f"{file}: {module} has rank {first.shape[0]}, but {CONFIG} says {rank}; the two files belong"
                " to different adapters"
            )
    if meta is not None:
        _refuse_strangers(file, pairs, meta)
        if lacking := [name for name in _targeted(config, meta) if name not in pairs]:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise FolderError(
                f"{file} lacks {lacking[0]}{more}, which {CONFIG} names in 'target_modules'; download or save"
                " the adapter again"
            )


def _pairs(file: Path, tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = PART.match(name.removeprefix(PREFIX))
        if found is None:
            raise FolderError(
                f"{file} contains {name}, which is not part of a LoRA and would be ignored; merge the"
                " adapter into its base (peft's merge_and_unload)"
            )
        module = found["module"] or found["table"]
        sides.setdefault(module, {})[(found["part"] or found["side"])[-1]] = tensor
    halves = [module for module, side in sides.items() if set(side) != {"A", "B"}]
    if halves or not sides:
        what = f"only one of the two LoRA matrices of {halves[0]}" if halves else "no tensor"
        raise FolderError(f"{file} contains {what}; download or save the adapter again")
    return {module: (side["A"], side["B"]) for module, side in sides.items()}


def _refuse_strangers(file: Path, pairs: Mapping[str, tuple[Tensor, Tensor]], meta: Any) -> None:
    modules = dict(meta.named_modules())
    for module, (first, second) in pairs.items():
        if ".experts" in module:  # the model fuses the experts, the adapter keeps them separate
            continue
        if module not in modules:
            raise FolderError(
                f"{file} adapts {module}, which the base does not have; the adapter belongs to another model"
            )
        weight = tuple(modules[module].weight.shape)
        if sorted((first.shape[1], second.shape[0])) != sorted(weight):
            raise FolderError(
                f"{file} adapts {module} as {second.shape[0]} × {first.shape[1]}, but it is"
                f" {weight[0]} × {weight[1]} in the base; the adapter belongs to another model"
            )


def _targeted(config: Mapping[str, Any], meta: Any) -> list[str]:
    """The linear layers that PEFT would adapt. Empty if the configuration selects them in another way."""
    if config.get("layers_to_transform") is not None or config.get("target_parameters"):
        return []
    return [
        name
        for name, module in meta.named_modules()
        if isinstance(module, torch.nn.Linear)
        and _named_by(config.get("target_modules"), name)
        and not _named_by(config.get("exclude_modules"), name)
    ]


def _named_by(targets: Any, name: str) -> bool:
    """PEFT's rule: a list contains whole names or dotted suffixes; a string is a regular expression."""
    if isinstance(targets, list):
        return any(name == target or name.endswith(f".{target}") for target in targets)
    try:
        return isinstance(targets, str) and re.fullmatch(targets, name) is not None
    except re.error:
        return False


def _rank(config: Mapping[str, Any], module: str) -> Any:
    """PEFT's rule: the first pattern that matches the module's name or a dotted suffix of it."""
    patterns = config.get("rank_pattern") or {}
    return next(
        (rank for key, rank in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), config.get("r")
    )
