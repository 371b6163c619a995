"""The first lessons of every model: long lists, said again or backwards.

Looking a word up where it stood before is what most tasks need and what tiny models are slow to find; a few
hundred dense batches of it save a thousand steps later.
"""

import random
from collections.abc import Iterator
from typing import Any

from preceptor.miniature.train import BATCH, Row
from preceptor.miniature.words import LIST_WORDS


def drills(tokenizer: Any, seed: int) -> Iterator[list[Row]]:
    """Batches of lists of words or digits; only the second time that a list is said counts."""
    draw = random.Random(f"drills {seed}")
    while True:
        yield [_drill(tokenizer, draw) for _ in range(BATCH)]


def _drill(tokenizer: Any, draw: random.Random) -> Row:
    things = LIST_WORDS if draw.random() < 0.8 else list("0123456789")
    said = draw.choices(things, k=draw.randint(4, 14))
    again = draw.random() < 0.6
    first = _ids(tokenizer, f" {' '.join(said)}\n{'again' if again else 'backwards'}")
    second = _ids(tokenizer, f" {' '.join(said if again else reversed(said))}")
    return first + second, [0.0] * len(first) + [1.0] * len(second)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
