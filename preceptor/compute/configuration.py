"""Compare config.json and generation_config.json with the weights before a model is built.

A config with a billion layers would fill the memory before a missing tensor is noticed.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preceptor.compute.weights import ConfigError, FolderError, Tensor, read_object

CONFIG, GENERATION = "config.json", "generation_config.json"
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
# Allowed beyond what the weights need: layers may share tensors, and small models may state large windows.
SPARE_LAYERS, SPARE_SIZE, MOST_POSITIONS = 256, 2**20, 2**24
LAYERS = re.compile(r"(^|_)(layers?|blocks|depth)$")
SIZES = re.compile(r"^(num|n)_|(_size|_dim|_rank|_heads|_labels|_experts)$")
POSITIONS = re.compile(r"position|_ctx$|seq(uence)?_len")
BOUNDS_OF_ATTENTION = re.compile(r"window|chunk|^max_.*layers$")


def refuse_absurd(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ConfigError for sizes in config.json that cannot belong to these tensors, and for invalid ids."""
    path = folder / CONFIG
    config = read_object(path)
    largest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
    for key, value in _counts(config):
        field = key.rpartition(".")[2]
        if POSITIONS.search(field):
            limit, why = MOST_POSITIONS, f"at most {MOST_POSITIONS:,} positions are supported"
        elif BOUNDS_OF_ATTENTION.search(field):
            continue
        elif LAYERS.search(field):
            limit, why = SPARE_LAYERS + len(tensors), f"the weights are only {len(tensors):,} tensors"
        elif SIZES.search(field):
            limit, why = max(SPARE_SIZE, largest), f"no dimension of the tensors is above {largest:,}"
        else:
            continue
        if value > limit:
            raise ConfigError(
                f"{path} says '{key}: {value:,}', but {why}; this config does not belong to these weights"
            )
    _refuse_wrong_ids(path, config)


def refuse_wrong_generation(path: Path) -> None:
    """Raise FolderError for a generation_config.json that generation cannot use."""
    from transformers import GenerationConfig

    stated = read_object(path)
    _refuse_wrong_ids(path, stated)
    try:
        GenerationConfig.from_dict(stated)
    except Exception as error:
        raise FolderError(f"{path} cannot be read: {error}; correct the field, or delete the file") from error


def _refuse_wrong_ids(path: Path, stated: Mapping[str, Any]) -> None:
    for field in TOKEN_IDS:
        value = stated.get(field)
        if value is None or _is_id(value) or (isinstance(value, list) and all(map(_is_id, value))):
            continue
        raise ConfigError(
            f"{path} says '{field}: {value!r}', but a token id is a whole number or a list of them;"
            " correct or delete the field"
        )


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _counts(config: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, int]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _counts(value, f"{within}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{within}{key}", int(value) if abs(value) < float("inf") else 2**63
