"""A hash of what rows say: the same on every machine and under every release of polars and Arrow."""

import hashlib
from typing import Protocol

import numpy as np
import polars as pl


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


def content_hash(rows: pl.DataFrame, key: tuple[str, ...]) -> str:
    """SHA-256 of a frame's columns in order; its rows may come in any order, `key` tells them apart."""
    sha = hashlib.sha256()
    ordered = rows.sort(key) if key else rows
    for column in ordered.iter_columns():
        sha.update(f"{len(column.name)}:{column.name}:{len(column)}:".encode())
        _add(sha, column)
    return sha.hexdigest()


def _add(sha: _Hash, values: pl.Series) -> None:
    """Which values are null, then the others: lengths and bytes, little-endian."""
    sha.update(np.packbits(values.is_null().to_numpy()).tobytes())
    present = values.drop_nulls()
    match present.dtype:
        case pl.List():
            sha.update(present.list.len().to_numpy().astype("<i8").tobytes())
            _add(sha, present.explode(empty_as_null=False))
        case pl.Struct():
            for part in present.struct.unnest().iter_columns():
                _add(sha, part)
        case pl.String():
            sha.update(present.str.len_bytes().to_numpy().astype("<i8").tobytes())
            sha.update(_text(present))
        case pl.Float64():
            sha.update(present.to_numpy().astype("<f8").tobytes())
        case _:
            sha.update(present.cast(pl.Int64).to_numpy().astype("<i8").tobytes())


def _text(present: pl.Series) -> memoryview:
    """The bytes of all texts, one behind the other, as Arrow holds them: no text becomes an object."""
    array = present.to_arrow(compat_level=pl.CompatLevel.oldest())  # else views, whose bytes lie anywhere
    _, offsets, data = array.buffers()
    if data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, dtype="<i8")[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]
