"""Rows with their places, from every file format; damaged files and bad rows."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from preceptor.records import RecordsError, json_files, opening, read_records, records_identity
from preceptor.study.fields import Records

ODD = "a\u2028b\x85c\u2029d\x0b\x0c\x1ce"  # all of them line ends to str.splitlines()


def read(path, data: bytes | None = None, **settings):
    if data is not None:
        path.write_bytes(data)
    return list(read_records(Records(path=str(path), **settings)))


def jsonl(*rows) -> bytes:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rows).encode()


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson"])
def test_jsonl_rows_end_at_line_feeds_only(tmp_path, suffix):
    rows = [{"text": ODD}, {"text": "plain"}]
    found = read(tmp_path / f"a{suffix}", jsonl(*rows))
    assert found == [(f"a{suffix}:1", rows[0]), (f"a{suffix}:2", rows[1])]


def test_blank_lines_are_no_rows_but_count_as_lines_and_windows_line_ends_are_fine(tmp_path):
    found = read(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"n": 1}\r\n\r\n  \n{"n": 2}')
    assert found == [("a.jsonl:1", {"n": 1}), ("a.jsonl:4", {"n": 2})]


def test_gzipped_rows_are_the_same_rows(tmp_path):
    data = jsonl({"text": ODD}, {"n": 2})
    plain, packed = read(tmp_path / "a.jsonl", data), read(tmp_path / "a.jsonl.gz", gzip.compress(data))
    assert [found for _, found in packed] == [found for _, found in plain]
    assert packed[1][0] == "a.jsonl.gz:2"


@pytest.mark.parametrize("bad", [b'{"n": ', b"{'n': 1}", b'{"n": "\0"}', b"[" * 100_000])
def test_a_bad_line_is_a_row_with_its_place_and_the_others_go_on(tmp_path, bad):
    found = read(tmp_path / "a.jsonl", jsonl({"n": 1}) + bad + b"\n" + jsonl({"n": 3}))
    assert [found[0], found[2]] == [("a.jsonl:1", {"n": 1}), ("a.jsonl:3", {"n": 3})]
    place, reason = found[1]
    assert place == "a.jsonl:2"
    assert reason.startswith("not JSON: ")


def test_json_that_is_no_object_is_a_bad_row(tmp_path):
    found = read(tmp_path / "a.jsonl", b'[1]\n"text"\n{"n": 3}\n')
    assert [reason for _, reason in found[:2]] == [
        "a JSON list instead of an object",
        'a JSON str instead of an object, such as {"instruction": "…"}',
    ]
    assert found[2] == ("a.jsonl:3", {"n": 3})


def test_a_json_list_gives_its_objects_by_index(tmp_path):
    found = read(tmp_path / "a.json", json.dumps([{"text": ODD}, 5, {"n": 3}]).encode())
    assert found[0] == ("a.json[0]", {"text": ODD})
    assert found[1] == ("a.json[1]", "a JSON int instead of an object")
    assert found[2] == ("a.json[2]", {"n": 3})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'{"n": 1}'),
        ("a.json", b'[{"n": 1}'),
        ("a.json", b""),
        ("a.json", b"[" * 100_000),
        ("a.jsonl.gz", b'{"n": 1}\n'),
        ("a.csv", "a,b\n1,\xe9\n".encode("latin-1")),
        ("a.csv", b'a,b\n1,2\n3,"cut in the middle of a quo'),
        ("a.parquet", b"PAR1"),
        ("a.txt", b"text"),
        ("a.jsonl.bz2", b"text"),
        ("a", b"text"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_the_error(tmp_path, name, data):
    with pytest.raises(RecordsError) as refusal:
        read(tmp_path / name, data)
    assert str(tmp_path / name) in str(refusal.value)


def test_an_unknown_suffix_is_answered_with_those_that_are_known(tmp_path):
    with pytest.raises(RecordsError, match=r"\.jsonl, \.ndjson, \.json, \.csv, \.tsv, \.parquet"):
        read(tmp_path / "a.dat", b"text")


def test_a_suffix_may_be_in_capitals_and_a_csv_with_semicolons_in_its_header_is_separated_by_them(tmp_path):
    data = 'No;Question\r\n1;"One; two, three?"\r\n'.encode("utf-8-sig")
    assert read(tmp_path / "Q.CSV", data) == [("Q.CSV:2", {"No": "1", "Question": "One; two, three?"})]
    assert read(tmp_path / "A.JSONL", b'{"n": 1}\n') == [("A.JSONL:1", {"n": 1})]


def packed_rows(count: int) -> bytes:
    generator = random.Random(0)
    return gzip.compress(jsonl(*({"n": generator.getrandbits(200)} for _ in range(count))))


def test_a_truncated_gzip_is_refused_and_not_taken_for_the_whole(tmp_path):
    data = packed_rows(500)
    with pytest.raises(RecordsError, match=r"a\.jsonl\.gz"):
        read(tmp_path / "a.jsonl.gz", data[: len(data) // 2])


def test_a_gzip_with_damaged_bytes_is_refused(tmp_path):
    data = packed_rows(500)
    with pytest.raises(RecordsError, match=r"a\.jsonl\.gz"):  # at the end: a wrong checksum
        read(tmp_path / "a.jsonl.gz", data[:-8] + b"\0" * 8)
    with pytest.raises(RecordsError, match=r"a\.jsonl\.gz"):  # behind the header: a block of no known type
        read(tmp_path / "a.jsonl.gz", data[:10] + b"\xff" + data[11:])


def test_a_file_that_went_away_is_a_records_error(tmp_path):
    (tmp_path / "a.jsonl").touch()
    records = Records(path=str(tmp_path / "a.jsonl"))
    gone = records.model_copy(update={"path": str(tmp_path / "gone.jsonl")})
    with pytest.raises(RecordsError, match=r"gone\.jsonl"):
        list(read_records(gone))


def test_csv_cells_may_hold_quotes_line_ends_and_separators(tmp_path):
    found = read(tmp_path / "a.csv", b'\xef\xbb\xbfid,text\r\n1,"He said ""a, b""\nand left"\r\n2,plain\r\n')
    assert found[0] == ("a.csv:3", {"id": "1", "text": 'He said "a, b"\nand left'})
    assert found[1] == ("a.csv:4", {"id": "2", "text": "plain"})


def test_a_csv_row_with_too_many_or_too_few_fields_is_bad(tmp_path):
    found = read(tmp_path / "a.csv", b"id,text\n1,a,b\n2,b\n\n3\n")
    assert found == [
        ("a.csv:2", "more fields than the header"),
        ("a.csv:3", {"id": "2", "text": "b"}),
        ("a.csv:5", "fewer fields than the header"),
    ]


def test_a_csv_cell_may_be_longer_than_the_csv_modules_default_limit(tmp_path):
    [(_, cells)] = read(tmp_path / "a.csv", b"text\n" + b"x" * 200_000 + b"\n")
    assert len(cells["text"]) == 200_000


def test_tsv_splits_at_tabs_only(tmp_path):
    assert read(tmp_path / "a.tsv", b"id\ttext\n1\ta, b\n") == [("a.tsv:2", {"id": "1", "text": "a, b"})]


def test_parquet_keeps_types_nested_values_and_nulls(tmp_path):
    rows = [{"turns": [{"role": "user", "content": ODD}], "n": 1}, {"turns": [], "n": None}]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [("a.parquet[0]", rows[0]), ("a.parquet[1]", rows[1])]


def test_a_saved_dataset_gives_the_split_asked_for(tmp_path):
    from datasets import Dataset, DatasetDict

    splits = {"train": [{"text": ODD}], "test": [{"text": "a"}, {"text": "b"}]}
    DatasetDict({name: Dataset.from_list(rows) for name, rows in splits.items()}).save_to_disk(
        tmp_path / "saved"
    )
    assert read(tmp_path / "saved") == [("saved[0]", {"text": ODD})]
    found = read(tmp_path / "saved", split="test")
    assert found == [("saved[0]", {"text": "a"}), ("saved[1]", {"text": "b"})]
    with pytest.raises(RecordsError, match=r"has no split 'dev'; .*train, test"):
        read(tmp_path / "saved", split="dev")


def test_a_dataset_saved_without_splits_is_read_and_a_folder_that_is_none_refused(tmp_path):
    from datasets import Dataset

    Dataset.from_list([{"n": 1}]).save_to_disk(tmp_path / "saved")
    assert read(tmp_path / "saved") == [("saved[0]", {"n": 1})]
    with pytest.raises(ValidationError, match="save_to_disk"):
        read(tmp_path)


@pytest.mark.parametrize(("limit", "kept"), [(1, 1), (2, 2), (9, 3), (None, 3)])
def test_limit_keeps_the_first_rows_and_counts_bad_ones(tmp_path, limit, kept):
    everything = read(tmp_path / "a.jsonl", b'{"n": 1}\nbroken\n{"n": 3}\n')
    assert read(tmp_path / "a.jsonl", limit=limit) == everything[:kept]


def test_damage_behind_the_limit_does_not_matter(tmp_path):
    data = packed_rows(20_000)
    assert len(read(tmp_path / "a.jsonl.gz", data[: len(data) // 2], limit=3)) == 3


def test_identity_changes_with_content_and_limit_and_not_with_the_place(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(jsonl({"n": 1}))
    (tmp_path / "b.jsonl").write_bytes(jsonl({"n": 1}))
    (tmp_path / "c.jsonl").write_bytes(jsonl({"n": 2}))
    a, b, c = (records_identity(Records(path=str(tmp_path / f"{name}.jsonl"))) for name in "abc")
    limited = records_identity(Records(path=str(tmp_path / "a.jsonl"), limit=1))
    assert a == b
    assert a != c
    assert a != limited


@pytest.fixture
def small_bounds(monkeypatch):
    monkeypatch.setattr(opening, "LARGEST_ROW", 1000)
    monkeypatch.setattr(json_files, "LARGEST_DOCUMENT", 5000)


LONG = "x" * 1500


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "json", "parquet"])
def test_a_row_that_is_too_large_is_a_bad_row_and_the_others_go_on(tmp_path, small_bounds, suffix):
    rows = [{"text": "a"}, {"text": LONG}, {"text": "c"}]
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        data = json.dumps(rows).encode() if suffix == "json" else jsonl(*rows)
        path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    (_, first), (place, reason), (_, last) = read(path)
    assert (first, last) == (rows[0], rows[2])
    assert place in (f"a.{suffix}:2", f"a.{suffix}[1]")
    assert "which is the limit; split or shorten it" in reason


def test_a_saved_dataset_has_the_same_bound(tmp_path, small_bounds):
    from datasets import Dataset

    Dataset.from_list([{"turns": ["a", LONG]}, {"turns": ["b"]}]).save_to_disk(tmp_path / "saved")
    (_, reason), (_, second) = read(tmp_path / "saved")
    assert "which is the limit" in reason and second == {"turns": ["b"]}


@pytest.mark.parametrize("text", [f"1,{LONG}\n", '1,"' + "y\n" * 800 + '"\n', "1," + "," * 1500 + "\n"])
def test_a_csv_row_that_is_too_large_ends_the_file_by_name(tmp_path, small_bounds, text):
    with pytest.raises(RecordsError, match=r"a\.csv:\d+: a row of more than .* cannot be read either"):
        read(tmp_path / "a.csv", f"id,text\n0,fine\n{text}3,c\n".encode())
    many = "".join(f"{n},short\n" for n in range(500)).encode()  # the bound is a row's, not the file's
    assert len(read(tmp_path / "b.csv", b"id,text\n" + many)) == 500


def test_a_json_document_has_a_largest_size(tmp_path, small_bounds):
    with pytest.raises(RecordsError, match=r"a\.json\.gz: a \.json file of more than .* as \.jsonl"):
        read(tmp_path / "a.json.gz", gzip.compress(json.dumps([{"n": n} for n in range(900)]).encode()))


@pytest.mark.parametrize(
    "data", [b"[", b"[1", b"[1,", b"[1,]", b"[1 2]", b"[1] x", b"[1]]", b"[,1]", b"[{]", b"1 x"]
)
def test_a_json_list_is_read_to_its_end_or_refused(tmp_path, data):
    with pytest.raises(RecordsError, match="cannot be read"):
        read(tmp_path / "a.json", data)


@pytest.mark.parametrize("data", [b" [ ] ", b"[]", "\ufeff[]".encode(), "[]".encode("utf-16")])
def test_an_empty_json_list_has_no_rows(tmp_path, data):
    assert read(tmp_path / "a.json", data) == []


BOMBS = """
import resource, sys
from preceptor.records import RecordsError, json_files, read_records
from preceptor.study.fields import Records
import pyarrow.parquet
json_files.LARGEST_DOCUMENT = 64 * 2**20
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)
try:
    for place, row in read_records(Records(path=sys.argv[1])):
        print(place, row if isinstance(row, str) else len(str(row)))
except RecordsError as error:
    print("refused", error)
"""
MEMBER = gzip.compress(b"x" * 2**24, 1)


def bomb(path, head: bytes):
    """Some megabytes of gzip, in members, that unpack to a gigabyte on one line."""
    path.write_bytes(gzip.compress(head) + 64 * MEMBER)
    assert path.stat().st_size < 2**24


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("a.jsonl.gz", b'{"n": 1}\n{"text": "', "a.jsonl.gz:2 a line of more than 16 MiB"),
        ("a.json.gz", b'[{"text": "', "refused"),
        ("a.csv.gz", b"id,text\n1,", "refused"),
        ("b.csv.gz", b'id,text\n1,"', "refused"),
    ],
)
def test_a_gzip_that_explodes_is_noticed_while_it_is_read(tmp_path, name, head, said):
    bomb(tmp_path / name, head)
    child = subprocess.run(
        [sys.executable, "-c", BOMBS, str(tmp_path / name)], capture_output=True, text=True, timeout=600
    )
    assert child.returncode == 0, child.stderr
    assert said in child.stdout and name in child.stdout


def test_a_parquet_that_repeats_a_long_text_is_not_unpacked_for_every_row(tmp_path):
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array(["x" * (2**24 + 1)]))
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 2**24
    child = subprocess.run(
        [sys.executable, "-c", BOMBS, str(tmp_path / "a.parquet")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.count("a row of more than 16 MiB") == 100


GOOD = jsonl({"n": 1}, {"n": 2})
UTF16 = GOOD.decode().encode("utf-16")
LIST = json.dumps([{"n": 1}, {"n": 2}])
REFUSED = {
    "a list named .jsonl": (
        "a.jsonl",
        LIST.encode(),
        "contains a JSON list, not one object per line; rename it to .json",
    ),
    "a list over lines": (
        "a.jsonl",
        b'[\n{"n": 1},\n{"n": 2}\n]\n',
        "contains a JSON list",
    ),
    "a packed list": ("a.jsonl.gz", gzip.compress(b" [ {\n"), "contains a JSON list"),
    "objects over lines": (
        "a.jsonl",
        b'{\n  "n": 1\n}\n',
        "span several lines; write one object per line (jq -c .)",
    ),
    "lines named .json": ("a.json", GOOD, "rename it to .jsonl"),
    "one object": (
        "a.json",
        b'{"data": [1]}',
        "must contain a list of objects; one object per line is .jsonl (the rows may be in 'data'",
    ),
    "UTF-16": ("a.jsonl", UTF16, "is UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    "UTF-16 without a mark": ("a.jsonl", UTF16[2:], "is UTF-16 text without a BOM; save it as UTF-8"),
    "UTF-16 from a spreadsheet": (
        "a.csv",
        "n\tm\n1\t2\n".encode("utf-16"),
        "is UTF-16 text; save it as UTF-8",
    ),
    "UTF-32": ("a.tsv", "n\n1\n".encode("utf-32"), "is UTF-32 text; save it as UTF-8"),
    "gzip without .gz": ("a.jsonl", gzip.compress(GOOD), "is compressed with gzip; add .gz"),
    "Parquet packed again": ("a.parquet.gz", b"\x1f\x8bxxxx", "unpack it with gunzip"),
    "Parquet by another name": ("a.csv", b"PAR1xxxx", "is a Parquet file; rename it to .parquet"),
    "a spreadsheet": ("a.csv", b"PK\x03\x04", "is a ZIP archive"),
    "Zstandard": ("a.jsonl", b"\x28\xb5\x2f\xfd", "is compressed with Zstandard"),
    "Git LFS": ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "'git lfs pull'"),
    "Git LFS, Parquet": ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "'git lfs pull'"),
    "Git LFS, packed": ("a.jsonl.gz", b"version https://git-lfs.github.com/spec/v1\n", "'git lfs pull'"),
    "no gzip": ("a.jsonl.gz", GOOD, "is not compressed with gzip; remove .gz"),
    "a web page": ("a.json", b"<!doctype html>", "is a web page"),
    "Latin-1 in a .json": ("a.json", b'[{"a": 1},\n{"a": "\xe9"}]', "a.json:2: not UTF-8 (byte 0xe9"),
    "Latin-1 in a .csv": (
        "a.csv",
        b"a\nb\n\xe9\n",
        "a.csv:3: not UTF-8 (byte 0xe9 at 1): save it as UTF-8 (from Windows or Latin-1: iconv",
    ),
    "a .json that was cut": (
        "a.json",
        b'[{"a": 1},\n{"a": ',
        "a.json: cannot be read: Expecting value: line 2",
    ),
    "a gzip that was cut": ("a.jsonl.gz", gzip.compress(GOOD)[:-9], "ends too early"),
    "a NUL byte in a .csv": ("a.csv", b"a,b\n1,2\n\x003,4\n", "a.csv:3: contains a NUL byte"),
    "one column twice": ("a.csv", b"a,b,a\n1,2,3\n", "a.csv:1: the header names the column 'a' twice"),
    "bars": ("a.csv", b"a|b\n1|2\n", "not by '|'; save it with commas"),
    "tabs": ("a.csv", b"a\tb\n1\t2\n", "not by '\\t'; rename the file to .tsv"),
    "a workbook": ("a.xlsx", b"PK\x03\x04", "is a spreadsheet; save the sheet as CSV in UTF-8"),
    "a list of lines": (
        "a.TXT",
        b"One?\nTwo?\n",
        "add a header line with the column's name (instruction)",
    ),
    "a quote too many": ("a.csv", b'a,b\n1,2\n3,"x" y\n', "a.csv:3: the row on line 3: ',' expected"),
    "a backslash before a quote": (
        "a.csv",
        b'a,b\n1,"say \\"hi\\" now"\n',
        'double the quotes inside: He said "hi"',
    ),
    "a quote that never ends": (
        "a.csv",
        b'a,b\n1,2\n3,"x\n4,y\n',
        "a.csv:3: the row on line 3 to 4: unexpected end",
    ),
}


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path):
    once = pa.table({"n": ["a"], "m": ["b"]})
    pq.write_table(once.rename_columns(["n", "n"]), tmp_path / "a.parquet")
    with pytest.raises(RecordsError, match="names the column 'n' twice; rename one of them"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(("name", "data", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_not_what_its_name_says_is_refused_with_the_cure(tmp_path, name, data, sentence):
    with pytest.raises(RecordsError) as refusal:
        read(tmp_path / name, data)
    assert str(refusal.value).startswith(str(tmp_path / name))
    assert sentence in str(refusal.value)


BAD_LINES = {
    "two objects": (b'{"n": 1}{"n": 2}', "two JSON values on one line; write each on its own line"),
    "a key twice": (b'{"n": 1, "n": 2}', "the key 'n' appears twice in one object"),
    "a key twice inside": (b'{"m": [{"n": 1, "n": 2}]}', "the key 'n' appears twice in one object"),
    "a comma behind it": (b'{"n": 1},', "not JSON: Extra data at character 9"),
    "Latin-1": (
        b'{"n": "\xe9"}',
        "not UTF-8 (byte 0xe9 at 8): save it as UTF-8 (from Windows or Latin-1: iconv -f CP1252 -t UTF-8)",
    ),
    "a NUL byte": (
        b'{"n": "\0"}',
        "not JSON: Invalid control character at at character 8; it contains a NUL byte",
    ),
    "bytes never written": (b"\0" * 9, "not JSON: Expecting value at character 1; it contains a NUL byte"),
    "cut": (b'{"n": "tex', "not JSON: Unterminated string starting at at character 7"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_is_no_object_is_named_with_line_and_reason(tmp_path, line, reason):
    found = read(tmp_path / "a.jsonl", GOOD + line + b"\n" + GOOD)
    assert [row for _, row in found] == [{"n": 1}, {"n": 2}, reason, {"n": 1}, {"n": 2}]
    assert found[2][0] == "a.jsonl:3"


def test_an_object_with_a_key_twice_in_a_list_is_one_bad_row(tmp_path):
    found = read(tmp_path / "a.json", b'[{"n": 1}, {"n": 2, "n": 3}, {"n": 4}]')
    reason = "the key 'n' appears twice in one object"
    assert [row for _, row in found] == [{"n": 1}, reason, {"n": 4}]


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=3), max_size=5))
def test_what_json_writes_is_read_as_it_is_as_lines_and_as_a_list(rows):
    with tempfile.TemporaryDirectory() as folder:
        lines = read(Path(folder) / "a.jsonl", jsonl(*rows))
        whole = read(Path(folder) / "a.json", json.dumps(rows).encode("utf-16"))
    assert [row for _, row in lines] == [row for _, row in whole] == rows


def test_times_of_any_zone_and_size_in_a_parquet_do_not_matter(tmp_path):
    zoned = pa.array([1], pa.timestamp("us", tz="Mars/Olympus"))
    beyond = pa.array([2**62], pa.timestamp("us"))
    inner = pa.array(
        [[{"at": 5, "said": "a"}]], pa.list_(pa.struct([("at", pa.date32()), ("said", pa.string())]))
    )
    pq.write_table(
        pa.table({"text": ["a"], "zoned": zoned, "beyond": beyond, "inner": inner}), tmp_path / "a.parquet"
    )
    [(_, found)] = read(tmp_path / "a.parquet")
    assert (found["text"], found["zoned"], found["inner"]) == ("a", 1, [{"at": 5, "said": "a"}])


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    return tmp_path / "pipe.jsonl"


def test_pipes_devices_and_the_kernels_files_are_refused_without_opening_them(tmp_path, pipe):
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    (tmp_path / "kernel.jsonl").symlink_to("/proc/self/environ")
    for path, said in (
        (pipe, "is a pipe"),
        ("zero.jsonl", "is a device"),
        ("kernel.jsonl", "is in /proc (it"),
    ):
        with pytest.raises(ValidationError, match=re.escape(said)):
            Records(path=str(tmp_path / path))
        unchecked = Records(dataset="x").model_copy(update={"path": str(tmp_path / path), "dataset": None})
        with pytest.raises(RecordsError, match=re.escape(said)):
            list(read_records(unchecked))


@pytest.mark.parametrize("limit", [0, -1, 10**13, 10**30, True, "1_000", 2.5])
def test_a_limit_is_a_whole_number_of_a_sensible_size(tmp_path, limit):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    with pytest.raises(ValidationError, match="limit"):
        Records(path=str(tmp_path / "a.jsonl"), limit=limit)
    assert Records(path=str(tmp_path / "a.jsonl"), limit="12").limit == 12


def test_texts_that_a_parquet_does_not_mark_as_such_are_texts_and_pictures_stay_bytes(tmp_path):
    table = pa.table(
        {
            "text": pa.array([b"a", "é".encode()], pa.binary()),
            "large": pa.array([b"a", None], pa.large_binary()),
            "picture": pa.array([b"\x89PNG\xff", b"a"], pa.binary()),
            "repeated": pa.array(["x", "x"]).dictionary_encode(),
            "pairs": pa.array([[("k", "v")], []], pa.map_(pa.string(), pa.string())),
            "fixed": pa.array([[1], [2]], pa.list_(pa.timestamp("ms", "X/Y"), 1)),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = (row for _, row in read(tmp_path / "a.parquet"))
    assert (first["text"], second["text"], first["large"], second["large"]) == ("a", "é", "a", None)
    assert (first["picture"], first["repeated"]) == (b"\x89PNG\xff", "x")
    assert (first["pairs"], second["pairs"], second["fixed"]) == ([("k", "v")], [], [2])
