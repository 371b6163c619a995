"""Near-duplicate detection on real texts: ours (rensa, verified) against datasketch and an exact join.

    PRECEPTOR_DATA=/path/to/data python benchmarks/near_duplicates.py [--threshold 0.8]

The exact join in plain Python compares every pair that shares one of its rarest shingles and misses no pair.
Each method drops a text that is near an earlier kept one. Precision and recall are against the exact join.
"""

import argparse
import gzip
import json
import math
import os
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from datasketch import MinHash, MinHashLSH

from preceptor.instructions.near_duplicates import (
    BANDS,
    PERMUTATIONS,
    SHINGLE,
    comparable,
    near_duplicates,
)

Dropped = set[int]


def texts(data: Path) -> Iterator[str]:
    """Instructions of six public datasets; tests/real names their sources."""
    alpaca = json.loads(gzip.decompress((data / "alpaca/alpaca_5000.json.gz").read_bytes()))
    dolly = json.loads(gzip.decompress((data / "dolly/dolly_3k.json.gz").read_bytes()))
    for row in alpaca + dolly:
        yield "\n\n".join(part for part in (row["instruction"], row.get("input")) if part)
    for name, column in (
        ("gsm8k/train.jsonl.gz", "question"),
        ("arena_bench/questions.jsonl.gz", "turns"),
        ("arena_hard/questions.jsonl.gz", "prompt"),
        ("lima/lima_data.jsonl.gz", "messages"),
    ):
        with gzip.open(data / name) as file:
            for line in file:
                value = json.loads(line)[column]
                first = value if isinstance(value, str) else value[0]
                yield first if isinstance(first, str) else first["content"]


def shingle_sets(rows: list[str]) -> list[set[str]]:
    """Character shingles, as Preceptor computes them."""
    return [{row[i : i + SHINGLE] for i in range(max(1, len(row) - SHINGLE + 1))} for row in rows]


def jaccard(a: set[str], b: set[str]) -> float:
    """Jaccard similarity: shared shingles divided by all shingles."""
    return len(a & b) / len(a | b)


def exact_join(rows: list[str], threshold: float) -> Dropped:
    """Two sets this similar share one of their rarest (1 - threshold) shingles, so only those are indexed."""
    sets = shingle_sets(rows)
    counts = Counter(shingle for row in sets for shingle in row)
    index: dict[str, list[int]] = defaultdict(list)
    dropped: Dropped = set()
    for number, row in enumerate(sets):
        rarest = sorted(row, key=lambda shingle: (counts[shingle], shingle))
        prefix = rarest[: len(row) - math.ceil(threshold * len(row) - 1e-9) + 1]
        near = {kept for shingle in prefix for kept in index[shingle]}
        if any(jaccard(row, sets[kept]) >= threshold for kept in near):
            dropped.add(number)
            continue
        for shingle in prefix:
            index[shingle].append(number)
    return dropped


def datasketch(rows: list[str], threshold: float) -> Dropped:
    """datasketch's sketches and index, with the same bands and the same exact verification."""
    sets = shingle_sets(rows)
    encoded = ([shingle.encode() for shingle in row] for row in sets)
    sketches = MinHash.bulk(encoded, num_perm=PERMUTATIONS, seed=0, hashfunc=zlib.crc32)
    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    dropped: Dropped = set()
    for number, sketch in enumerate(sketches):
        if any(jaccard(sets[number], sets[kept]) >= threshold for kept in index.query(sketch)):
            dropped.add(number)
        else:
            index.insert(number, sketch)
    return dropped


def ours(rows: list[str], threshold: float) -> Dropped:
    """The method of `raw_instructions`."""
    return set(near_duplicates(rows, threshold))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threshold", type=float, default=0.8)
    threshold = parser.parse_args().threshold
    rows = [comparable(text) for text in texts(Path(os.environ["PRECEPTOR_DATA"]))]
    methods: dict[str, Callable[[list[str], float], Dropped]] = {
        "Preceptor (rensa, verified)": ours,
        "datasketch (crc32, verified)": datasketch,
        "exact join in Python": exact_join,
    }
    found, seconds = {}, {}
    for name, method in methods.items():
        started = time.perf_counter()
        found[name] = method(rows, threshold)
        seconds[name] = time.perf_counter() - started
    truth, fastest = found["exact join in Python"], seconds["Preceptor (rensa, verified)"]
    print(f"{len(rows):,} texts, threshold {threshold}, {len(truth)} to drop\n")
    print("| method | seconds | × Preceptor | precision | recall |")
    print("| --- | --- | --- | --- | --- |")
    for name, dropped in found.items():
        right = len(dropped & truth)
        precision, recall = right / max(1, len(dropped)), right / max(1, len(truth))
        ratio = seconds[name] / fastest
        print(f"| {name} | {seconds[name]:.2f} | {ratio:.1f} | {precision:.3f} | {recall:.3f} |")


if __name__ == "__main__":
    main()
