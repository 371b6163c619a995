"""Weights are read as safetensors only: other formats are pickles, which can run code when loaded."""

from pathlib import Path

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def model_problem(model: str) -> str | None:
    """What keeps a local folder from being loaded as a model; None for a hub id, or safetensors."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    if (folder / "adapter_config.json").exists():
        return (
            f"model folder {model!r} holds an adapter_config.json, by which other weights would be"
            " loaded: merge the adapter (peft's merge_and_unload), or name the base and the adapter apart"
        )
    if any(folder.glob("*.safetensors")):
        return None
    return f"model folder {model!r} holds no *.safetensors{_instead(folder)}"


def adapter_problem(adapter: str) -> str | None:
    """What keeps a folder from being loaded as a LoRA adapter."""
    if (Path(adapter) / ADAPTER_WEIGHTS).is_file():
        return None
    return f"adapter {adapter!r} holds no {ADAPTER_WEIGHTS}{_instead(Path(adapter))}"


def _instead(folder: Path) -> str:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if not pickles:
        return ""
    return (
        f", but {', '.join(pickles[:3])}: a pickle can run code when it is loaded. Where you trust its maker,"
        " load it once with transformers or peft, and write it again with save_pretrained(), which makes"
        " safetensors"
    )
