"""Weights are read as safetensors only: other formats are pickles, which can run code when loaded.

Which files a model folder is loaded from, and what their headers say of the tensors in them.
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ROWS_COMPARED_AT_ONCE = 4096


class FolderError(ValueError):
    """What is wrong with the files of a model, as one sentence that names them."""


class ConfigError(FolderError):
    """A config.json of which nothing can be built."""


@dataclass(frozen=True)
class Tensor:
    """What a header says of a tensor; `dtype` is safetensors' own name, such as BF16."""

    dtype: str
    shape: tuple[int, ...]


def model_problem(model: str) -> str | None:
    """What keeps a local folder from being loaded as a model; None for a hub id, or safetensors."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    try:
        weight_files(folder)
    except FolderError as problem:
        return str(problem)
    return None


def adapter_problem(adapter: str) -> str | None:
    """What keeps a folder from being loaded as a LoRA adapter."""
    if (Path(adapter) / ADAPTER_WEIGHTS).is_file():
        return None
    return f"adapter {adapter!r} holds no {ADAPTER_WEIGHTS}{_instead(Path(adapter))}"


def weight_files(folder: Path, vllm: bool = False) -> list[Path]:
    """The files that a folder's weights are read from: by transformers, or all those that vLLM takes.

    Raises FolderError where that would not be safetensors inside the folder, or where a file is missing.
    """
    if (folder / "adapter_config.json").exists():
        raise FolderError(
            f"model folder {str(folder)!r} holds an adapter_config.json, by which other weights would be"
            " loaded: merge the adapter (peft's merge_and_unload), or name the base and the adapter apart"
        )
    present = sorted(folder.glob("*.safetensors"))
    if not present:
        raise FolderError(f"model folder {str(folder)!r} holds no *.safetensors{_instead(folder)}")
    index = folder / INDEX
    shards = _existing(index, shard_names(index)) if index.is_file() else []
    if vllm:
        return [path for path in present if path in shards] if shards else present
    if (named := weights_named_by(folder / "config.json")) is not None:
        index = folder / named
        return (
            _existing(index, shard_names(index))
            if _is_index(named)
            else _existing(folder / "config.json", [named])
        )
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not shards:
        raise FolderError(
            f"model folder {str(folder)!r} holds {present[0].name}, but neither {WEIGHTS} nor {INDEX}, by"
            " which transformers would find it"
        )
    if "metadata" not in read_object(index):
        raise FolderError(
            f"{index} has no 'metadata', which transformers asks for: add '\"metadata\": {{}}' to it"
        )
    return shards


def shard_names(index: Path) -> list[str]:
    """The files that an index of shards names. Raises FolderError for one that is not safetensors there."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FolderError(
            f"{index} is no index of shards: it holds no 'weight_map' of tensors and their files"
        )
    names: list[str] = []
    for tensor, name in weight_map.items():
        if not _is_safe(name):
            raise FolderError(
                f"{index} names {name!r} for {tensor}: weights are read from *.safetensors beside it only,"
                " since other files may be pickles, which can run code when they are loaded"
            )
        names.append(name)
    return sorted(set(names))


def weights_named_by(config: Path) -> str | None:
    """The file of weights that a config.json names, if any. Raises FolderError for other than safetensors."""
    named = read_object(config).get("transformers_weights")
    if named is None or _is_safe(named) or _is_index(named):
        return named
    raise FolderError(
        f"{config} says 'transformers_weights: {named}': weights are read from *.safetensors beside it only,"
        " since other files may be pickles, which can run code when they are loaded"
    )


def read_tensors(files: Iterable[Path]) -> dict[str, Tensor]:
    """Every tensor by name, from the headers alone. Raises FolderError for a file that is damaged."""
    found: dict[str, Tensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - it is no mapping
                    if name in found:
                        raise FolderError(
                            f"{file} holds {name} once more: another file of the folder has it too"
                        )
                    part = opened.get_slice(name)
                    found[name] = Tensor(part.get_dtype(), tuple(part.get_shape()))
        except (SafetensorError, OSError) as error:
            raise FolderError(
                f"{file} cannot be read as safetensors: {error}; fetch or save it again"
            ) from error
    return found


def headers(folder: Path) -> dict[str, Tensor]:
    """The tensors of all a folder's safetensors; none where they cannot be read, which its load will say."""
    try:
        return read_tensors(sorted(folder.glob("*.safetensors")))
    except FolderError:
        return {}


def same_tensor(files: Iterable[Path], first: str, second: str) -> bool:
    """Whether two tensors hold the same; true where the files do not hold both."""
    with ExitStack() as stack:
        opened = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
        parts = [one.get_slice(n) for n in (first, second) for one in opened if n in one.keys()]  # noqa: SIM118
        if len(parts) < 2:
            return True
        rows = range(0, parts[0].get_shape()[0], ROWS_COMPARED_AT_ONCE)
        return all(
            bool((parts[0][n : n + ROWS_COMPARED_AT_ONCE] == parts[1][n : n + ROWS_COMPARED_AT_ONCE]).all())
            for n in rows
        )


def read_object(path: Path) -> dict[str, Any]:
    """A file's JSON object. Raises FolderError where it holds anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise FolderError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    return value


def _existing(naming: Path, names: list[str]) -> list[Path]:
    paths = [naming.parent / name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise FolderError(
            f"{naming} names {', '.join(missing[:3])}{more}, which the folder lacks: fetch or save the"
            " model again"
        )
    return paths


def _is_safe(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and _is_inside(name)


def _is_index(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors.index.json") and _is_inside(name)


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts and "\\" not in name


def _instead(folder: Path) -> str:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if not pickles:
        return ""
    return (
        f", but {', '.join(pickles[:3])}: a pickle can run code when it is loaded. Where you trust its maker,"
        " load it once with transformers or peft, and write it again with save_pretrained(), which makes"
        " safetensors"
    )
