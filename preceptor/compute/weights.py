"""The files that a model folder's weights are read from, and the tensors that their headers list.

Weights are read as safetensors only. Other formats are pickles, which can run code when loaded.
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
    """A problem with the files of a model, as one sentence that names them."""


class ConfigError(FolderError):
    """A config.json that no model can be built from."""


@dataclass(frozen=True)
class Tensor:
    """A tensor as listed in a header. `dtype` is safetensors' own name, such as BF16."""

    dtype: str
    shape: tuple[int, ...]


def model_problem(model: str) -> str | None:
    """Why a local folder cannot be loaded as a model; None for a hub id or a valid folder."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    try:
        weight_files(folder)
    except FolderError as problem:
        return str(problem)
    return None


def adapter_problem(adapter: str) -> str | None:
    """Why a folder cannot be loaded as a LoRA adapter; None if it can."""
    if (Path(adapter) / ADAPTER_WEIGHTS).is_file():
        return None
    return f"adapter {adapter!r} has no {ADAPTER_WEIGHTS}{_instead(Path(adapter))}"


def weight_files(folder: Path, vllm: bool = False) -> list[Path]:
    """The files that transformers, or with `vllm` vLLM, reads a folder's weights from.

    Raises FolderError if they are not safetensors inside the folder, or if one is missing.
    """
    if (folder / "adapter_config.json").exists():
        raise FolderError(
            f"model folder {str(folder)!r} contains an adapter_config.json, so transformers would load other"
            " weights; merge the adapter (peft's merge_and_unload), or name base and adapter separately"
        )
    present = sorted(folder.glob("*.safetensors"))
    if not present:
        raise FolderError(f"model folder {str(folder)!r} has no *.safetensors{_instead(folder)}")
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
            f"model folder {str(folder)!r} contains {present[0].name}, but neither {WEIGHTS} nor {INDEX};"
            " transformers needs one of them to find the weights"
        )
    if "metadata" not in read_object(index):
        raise FolderError(
            f"{index} has no 'metadata', which transformers requires; add '\"metadata\": {{}}' to it"
        )
    return shards


def shard_names(index: Path) -> list[str]:
    """The files that an index of shards names. Raises FolderError for a name that is not safetensors."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FolderError(f"{index} is not an index of shards: it has no 'weight_map' from tensors to files")
    names: list[str] = []
    for tensor, name in weight_map.items():
        if not _is_safe(name):
            raise FolderError(
                f"{index} names {name!r} for {tensor}, but weights are only read from *.safetensors in the"
                " same folder; other files may be pickles, which can run code when loaded"
            )
        names.append(name)
    return sorted(set(names))


def weights_named_by(config: Path) -> str | None:
    """The weights file that a config.json names, if any. Raises FolderError if it is not safetensors."""
    named = read_object(config).get("transformers_weights")
    if named is None or _is_safe(named) or _is_index(named):
        return named
    raise FolderError(
        f"{config} says 'transformers_weights: {named}', but weights are only read from *.safetensors in the"
        " same folder; other files may be pickles, which can run code when loaded"
    )


def read_tensors(files: Iterable[Path]) -> dict[str, Tensor]:
    """Every tensor by name, read from the headers. Raises FolderError for a damaged file."""
    found: dict[str, Tensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - not a mapping
                    if name in found:
                        raise FolderError(
                            f"{file} contains {name}, which another file of the folder already contains"
                        )
                    part = opened.get_slice(name)
                    found[name] = Tensor(part.get_dtype(), tuple(part.get_shape()))
        except (SafetensorError, OSError) as error:
            raise FolderError(
                f"{file} cannot be read as safetensors: {error}; download or save it again"
            ) from error
    return found


def headers(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder's safetensors. Empty if one cannot be read; loading the model reports it."""
    try:
        return read_tensors(sorted(folder.glob("*.safetensors")))
    except FolderError:
        return {}


def same_tensor(files: Iterable[Path], first: str, second: str) -> bool:
    """Whether two tensors are equal. True if the files do not contain both."""
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
    """A file's JSON object. Raises FolderError for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise FolderError(f"{path} must contain a JSON object, not a {type(value).__name__}")
    return value


def _existing(naming: Path, names: list[str]) -> list[Path]:
    paths = [naming.parent / name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise FolderError(
            f"{naming} names {', '.join(missing[:3])}{more}, but the folder does not contain them; download"
            " or save the model again"
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
        f", but has {', '.join(pickles[:3])}. A pickle can run code when loaded. If you trust its author,"
        " load it once with transformers or peft and save it with save_pretrained(), which writes safetensors"
    )
