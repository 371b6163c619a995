"""One model at a time in this process: two may not fit into a GPU."""

import gc
from collections.abc import Callable, Hashable
from typing import TypeVar

Model = TypeVar("Model")
_held: dict[Hashable, object] = {}


def hold(key: Hashable, load: Callable[[], Model]) -> Model:
    """The model that this key loaded, unless another was loaded since; the next partition often wants it."""
    if key not in _held:
        _held.clear()
        gc.collect()
        _held[key] = load()
    return _held[key]  # type: ignore[return-value]
