"""One model at a time in this process: two may not fit into a GPU."""

from collections.abc import Callable, Hashable
from typing import TypeVar

Model = TypeVar("Model")
_held: dict[Hashable, object] = {}


def hold(key: Hashable, load: Callable[[], Model]) -> Model:
    """The model that this key loaded, unless another was loaded since; the next partition often wants it."""
    if key not in _held:
        let_go()
        _held[key] = load()
    return _held[key]  # type: ignore[return-value]


def let_go() -> None:
    """Make room for an engine in another process."""
    if _held:
        from preceptor.compute.load import release_memory

        _held.clear()
        release_memory()
