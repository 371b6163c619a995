"""Find near-duplicate texts: MinHash finds candidates, and the exact Jaccard similarity of 5-grams decides.

benchmarks/RESULTS.md compares this with datasketch and an exact join. MinHash's own estimate of the
similarity is too coarse for the decision.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from preceptor.text import in_one_line

SHINGLE = 5  # characters; a three-word instruction would have no shingles of five words
PERMUTATIONS = 128
# A pair of similarity s meets in one of 32 bands of 4 rows with probability 1 - (1 - s⁴)³²: 0.988 at 0.6, the
# lowest allowed threshold, and above 0.9999 from 0.75.
BANDS = 32
SEED = 0
ODD = np.uint64(0x9E3779B97F4A7C15)  # mixes the two halves of a band; Jaccard sorts out collisions
TEXTS_AT_ONCE = 1000
SETS_KEPT = 256


@dataclass(frozen=True)
class NearDuplicate:
    """The earlier kept text that a text is similar to, and their similarity."""

    of: int
    similarity: float


def comparable(text: str) -> str:
    """A text with case and whitespace normalised."""
    return in_one_line(text).casefold()


def near_duplicates(texts: Sequence[str], threshold: float) -> dict[int, NearDuplicate]:
    """Return, for each text to drop, the most similar text kept before it.

    Texts are compared unchanged, so make them `comparable` first. The first text of a pair is kept.
    """
    exact = _Exact(texts)
    kept: dict[tuple[int, int], list[int]] = defaultdict(list)  # by band and its value
    dropped: dict[int, NearDuplicate] = {}
    for number, bands in _meeting(_sketches(texts)):
        near = [
            NearDuplicate(earlier, exact.similarity(number, earlier))
            for earlier in {earlier for band in bands for earlier in kept[band]}
            if exact.most(number, earlier) >= threshold
        ]
        best = max(near, key=lambda pair: (pair.similarity, -pair.of), default=None)
        if best is not None and best.similarity >= threshold:
            dropped[number] = best
        else:
            for band in bands:
                kept[band].append(number)
    return dropped


def _sketches(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Sketches of shape (texts, BANDS). Texts with equal numbers in a column may be similar.

    All shingles of a text take a hundred times its memory, so they are streamed and never collected in a set.
    """
    sketches = np.empty((len(texts), BANDS), dtype=np.uint64)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = map(_shingles, texts[start : start + TEXTS_AT_ONCE])
        rows = RMinHash.digest_matrix_from_token_sets(some, PERMUTATIONS, SEED).to_rows()
        halves = np.array(rows, dtype=np.uint32).view(np.uint64).reshape(len(rows), BANDS, 2)
        sketches[start : start + len(rows)] = halves[:, :, 0] * ODD + halves[:, :, 1]
    return sketches


def _meeting(sketches: NDArray[np.uint64]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield, in order, the texts that share some band with another text, with those bands."""
    meets = np.zeros(sketches.shape, dtype=np.bool_)
    for band in range(BANDS):
        said, texts = np.unique(sketches[:, band], return_counts=True)
        meets[:, band] = np.isin(sketches[:, band], said[texts > 1])
    for number in np.flatnonzero(meets.any(axis=1)).tolist():
        bands = np.flatnonzero(meets[number])
        yield number, list(zip(bands.tolist(), sketches[number, bands].tolist(), strict=True))


def _shingles(text: str) -> Iterator[str]:
    starts = range(max(1, len(text) - SHINGLE + 1))
    return map(text.__getitem__, map(slice, starts, range(SHINGLE, SHINGLE + len(starts))))


class _Exact:
    """Jaccard similarities of texts by number. Only the shingle sets of recent texts are kept."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._sizes: dict[int, int] = {}
        self._set = lru_cache(maxsize=SETS_KEPT)(lambda number: set(_shingles(texts[number])))

    def similarity(self, first: int, second: int) -> float:
        """The Jaccard similarity of two texts."""
        common = len(self._set(first) & self._set(second))
        return common / (self._size(first) + self._size(second) - common)

    def most(self, first: int, second: int) -> float:
        """An upper bound of the similarity from the sizes alone, which rules out most pairs."""
        sizes = self._size(first), self._size(second)
        return min(sizes) / max(sizes)

    def _size(self, number: int) -> int:
        if number not in self._sizes:
            self._sizes[number] = len(self._set(number))
        return self._sizes[number]
