"""Model folders whose weights are pickles that leave a mark when they are executed."""

from pathlib import Path

import torch


class _Marks:
    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def write_pickle(path: Path, marker: Path) -> None:
    """A file as torch.save writes it, that creates `marker` if it is unpickled without restraint."""
    torch.save({"weight": _Marks(marker)}, path)


def pickle_weights(folder: str | Path, marker: Path, name: str = "pytorch_model.bin") -> str:
    """Put a pickle in the place of a model's safetensors."""
    for path in Path(folder).glob("*.safetensors"):
        path.unlink()
    write_pickle(Path(folder, name), marker)
    return str(folder)
