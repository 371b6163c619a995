"""Keep at most one model loaded in this process, because two may not fit into a GPU."""

from collections.abc import Callable, Hashable
from typing import TypeVar

Model = TypeVar("Model")
_held: dict[Hashable, object] = {}


def hold(key: Hashable, load: Callable[[], Model]) -> Model:
    """The model for this key, loaded if it is not held yet. The next partition often needs the same one."""
    if key not in _held:
        let_go()
        _held[key] = load()
    return _held[key]  # type: ignore[return-value]


def let_go() -> None:
    """Release the model's memory, for example for an engine in another process."""
    if _held:
        from preceptor.compute.load import release_memory

        _held.clear()
        release_memory()
