"""Near-duplicate texts: MinHash finds candidates, the exact Jaccard similarity of 5-grams decides.

Measured against datasketch and an exact join in benchmarks/RESULTS.md. MinHash's own estimate of the
similarity is too coarse to decide by.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rensa import RMinHash, RMinHashLSH

from preceptor.text import in_one_line

SHINGLE = 5  # characters; words would leave a three-word instruction without any
PERMUTATIONS = 128
# A pair of similarity s meets in one of 32 bands of 4 rows with probability 1 - (1 - s⁴)³²: 0.988 at the
# lowest threshold allowed, 0.6, and above 0.9999 from 0.75.
BANDS = 32
SEED = 0


@dataclass(frozen=True)
class NearDuplicate:
    """The earlier kept text that a text is near, and their similarity."""

    of: int
    similarity: float


def comparable(text: str) -> str:
    """A text without what makes no difference to a reader in a hurry: case and blanks."""
    return in_one_line(text).casefold()


def near_duplicates(texts: Sequence[str], threshold: float) -> dict[int, NearDuplicate]:
    """Return, for each text to drop, the most similar of the texts kept before it.

    Texts are compared as they are: make them `comparable` first. The order decides which of a pair stays.
    """
    shingles = [_shingles(text) for text in texts]
    index = RMinHashLSH(threshold, PERMUTATIONS, BANDS)
    dropped: dict[int, NearDuplicate] = {}
    for number, sketch in enumerate(RMinHash.from_token_sets(shingles, PERMUTATIONS, SEED)):
        near = [
            NearDuplicate(kept, _jaccard(shingles[number], shingles[kept])) for kept in index.query(sketch)
        ]
        best = max(near, key=lambda pair: (pair.similarity, -pair.of), default=None)
        if best is not None and best.similarity >= threshold:
            dropped[number] = best
        else:
            index.insert(number, sketch)
    return dropped


def _shingles(text: str) -> set[str]:
    return {text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))}


def _jaccard(first: set[str], second: set[str]) -> float:
    common = len(first & second)
    return common / (len(first) + len(second) - common)
