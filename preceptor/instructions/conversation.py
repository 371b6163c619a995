"""What a record says, and the one way in which a cell becomes text."""

import math
from dataclasses import dataclass
from typing import Any

from preceptor.instructions.layout import RecordError
from preceptor.text import repair


@dataclass(frozen=True, slots=True)
class Conversation:
    """The source's own id, and the turns of each side."""

    id: str | None
    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...]


def text_of(value: Any, column: str) -> str:
    """A cell's text. Raises RecordError for whatever is none."""
    if value is None:
        raise RecordError(f"column {column!r} is null")
    if isinstance(value, float) and math.isnan(value):
        raise RecordError(f"column {column!r} holds NaN, not text: write null where nothing is")
    if not isinstance(value, str):
        raise RecordError(f"column {column!r} holds a {type(value).__name__}, not text")
    return repair(value)
