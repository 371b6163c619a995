"""The content hash depends on every value, and neither on the rows' order nor on their memory layout."""

import hashlib
import struct

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.lake.content import content_hash

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.none()
ROW = st.fixed_dictionaries(
    {
        "text": TEXT,
        "number": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "value": st.floats(allow_nan=False) | st.none(),
        "flag": st.booleans() | st.none(),
        "turns": st.lists(TEXT, max_size=3) | st.none(),
        "steps": st.lists(st.integers(0, 9), max_size=3) | st.none(),
    }
)
SCHEMA = {
    "id": pl.Int64,
    "text": pl.String,
    "number": pl.Int64,
    "value": pl.Float64,
    "flag": pl.Boolean,
    "turns": pl.List(pl.String),
    "steps": pl.List(pl.Int64),
}


def frame(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame([{"id": n, **row} for n, row in enumerate(rows)], schema=SCHEMA)


@given(st.lists(ROW, max_size=5), st.randoms())
def test_order_and_memory_layout_do_not_change_the_hash(rows, random):
    whole = frame(rows)
    shuffled = whole.sample(fraction=1, shuffle=True, seed=random.randrange(2**32))
    pieces = pl.concat([*whole.iter_slices(2), whole.clear()], rechunk=False)
    assert content_hash(whole, ("id",)) == content_hash(shuffled, ("id",)) == content_hash(pieces, ("id",))


@given(st.lists(ROW, min_size=1, max_size=3), st.lists(ROW, min_size=1, max_size=3))
@settings(max_examples=300)
def test_two_frames_have_the_same_hash_only_if_their_values_are_equal(one, other):
    same = repr(frame(one).rows()) == repr(frame(other).rows())  # repr distinguishes 0.0 from -0.0
    assert (content_hash(frame(one), ("id",)) == content_hash(frame(other), ("id",))) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"turns": ["ab", "c"]}, {"turns": ["a", "bc"]}),
        ({"turns": ["a", None]}, {"turns": [None, "a"]}),
        ({"turns": []}, {"turns": None}),
        ({"turns": [""]}, {"turns": []}),
        ({"text": ""}, {"text": None}),
        ({"number": 0}, {"number": None}),
        ({"value": 0.0}, {"value": -0.0}),
        ({"flag": False}, {"flag": None}),
    ],
)
def test_nearly_equal_rows_have_different_hashes(one, other):
    nothing = dict.fromkeys(list(SCHEMA)[1:])
    assert content_hash(frame([nothing | one]), ("id",)) != content_hash(frame([nothing | other]), ("id",))


@given(st.lists(TEXT, max_size=6), st.integers(0, 3), st.integers(0, 6))
def test_a_slice_of_texts_has_the_hash_of_its_bytes(texts, start, length):
    rows = pl.DataFrame({"text": texts}, schema={"text": pl.String}).slice(start, length)
    present = [text.encode() for text in rows["text"] if text is not None]
    nulls = "".join("1" if text is None else "0" for text in rows["text"])
    mask = [int(nulls[n : n + 8].ljust(8, "0"), 2) for n in range(0, len(nulls), 8)]
    lengths = b"".join(struct.pack("<q", len(text)) for text in present)
    expected = f"4:text:{rows.height}:".encode() + bytes(mask) + lengths + b"".join(present)
    assert content_hash(rows, ()) == hashlib.sha256(expected).hexdigest()


def test_the_hash_equals_one_written_out_by_hand():
    """A new release of polars or Arrow must not change the hash."""
    rows = pl.DataFrame(
        {"k": ["b", "a"], "turns": [["x", "yz"], None], "v": [None, 1.5]},
        schema={"k": pl.String, "turns": pl.List(pl.String), "v": pl.Float64},
    )
    integers = lambda *numbers: b"".join(struct.pack("<q", n) for n in numbers)  # noqa: E731
    expected = b"".join(
        [
            b"1:k:2:" + b"\0" + integers(1, 1) + b"ab",  # sorted by k: a, b
            b"5:turns:2:" + b"\x80" + integers(2) + b"\0" + integers(1, 2) + b"xyz",  # the first is null
            b"1:v:2:" + b"\x40" + struct.pack("<d", 1.5),  # the second is null
        ]
    )
    assert content_hash(rows, ("k",)) == hashlib.sha256(expected).hexdigest()
