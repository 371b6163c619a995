"""A hash of rows' content that is the same on every machine and with every release of polars and Arrow."""

import hashlib
from typing import Protocol

import numpy as np
import polars as pl


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


def content_hash(rows: pl.DataFrame, key: tuple[str, ...]) -> str:
    """SHA-256 of a frame's columns, in order. Rows may come in any order: they are sorted by `key` first."""
    sha = hashlib.sha256()
    ordered = rows.sort(key) if key else rows
    for column in ordered.iter_columns():
        sha.update(f"{len(column.name)}:{column.name}:{len(column)}:".encode())
        _add(sha, column)
    return sha.hexdigest()


def _add(sha: _Hash, values: pl.Series) -> None:
    """Add the null mask, then the lengths and bytes of the other values, little-endian."""
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
    """The concatenated bytes of all texts, straight from Arrow's buffer, without a Python object per text."""
    # Without the oldest level, Arrow gives string views, whose bytes are not contiguous.
    array = present.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, dtype="<i8")[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]
