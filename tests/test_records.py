"""Rows with their places, from every file format; damaged files and bad rows."""

import gzip
import json
import random
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preceptor import records
from preceptor.records import RecordsError, read_records, records_identity
from preceptor.study.fields import Records

ODD = "a\u2028b\x85c\u2029d\x0b\x0c\x1ce"  # all of them line ends to str.splitlines()


def read(path, data: bytes | None = None, **settings):
    if data is not None:
        path.write_bytes(data)
    return list(read_records(Records(path=str(path), **settings)))


def jsonl(*rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


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
    assert [row for _, row in packed] == [row for _, row in plain]
    assert packed[1][0] == "a.jsonl.gz:2"


@pytest.mark.parametrize("bad", [b'{"n": ', b"{'n': 1}", b'{"n": "\xff"}', b"[" * 100_000])
def test_a_bad_line_is_a_row_with_its_place_and_the_others_go_on(tmp_path, bad):
    found = read(tmp_path / "a.jsonl", jsonl({"n": 1}) + bad + b"\n" + jsonl({"n": 3}))
    assert [found[0], found[2]] == [("a.jsonl:1", {"n": 1}), ("a.jsonl:3", {"n": 3})]
    place, reason = found[1]
    assert place == "a.jsonl:2"
    assert reason.startswith("not JSON: ")


def test_json_that_is_no_object_is_a_bad_row(tmp_path):
    found = read(tmp_path / "a.jsonl", b'[1]\n"text"\n{"n": 3}\n')
    assert [reason for _, reason in found[:2]] == [
        "a JSON list where an object is expected",
        "a JSON str where an object is expected",
    ]
    assert found[2] == ("a.jsonl:3", {"n": 3})


def test_a_json_list_gives_its_objects_by_index(tmp_path):
    found = read(tmp_path / "a.json", json.dumps([{"text": ODD}, 5, {"n": 3}]).encode())
    assert found[0] == ("a.json[0]", {"text": ODD})
    assert found[1] == ("a.json[1]", "a JSON int where an object is expected")
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
        read(tmp_path / "a.xlsx", b"text")


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
    records = Records(path=str(tmp_path))
    gone = records.model_copy(update={"path": str(tmp_path / "gone.jsonl")})
    with pytest.raises(RecordsError, match=r"gone\.jsonl"):
        list(read_records(gone))


def test_csv_cells_may_hold_quotes_line_ends_and_separators(tmp_path):
    found = read(tmp_path / "a.csv", b'\xef\xbb\xbfid,text\r\n1,"He said ""a, b""\nand left"\r\n2,plain\r\n')
    assert found[0] == ("a.csv:3", {"id": "1", "text": 'He said "a, b"\nand left'})
    assert found[1] == ("a.csv:4", {"id": "2", "text": "plain"})


def test_a_csv_row_with_too_many_fields_is_bad_and_one_with_too_few_has_nulls(tmp_path):
    found = read(tmp_path / "a.csv", b"id,text\n1,a,b\n2\n3,c\n")
    assert found[0] == ("a.csv:2", "more fields than the header has")
    assert found[1:] == [("a.csv:3", {"id": "2", "text": None}), ("a.csv:4", {"id": "3", "text": "c"})]


def test_a_csv_cell_may_be_longer_than_the_csv_modules_default_limit(tmp_path):
    [(_, row)] = read(tmp_path / "a.csv", b"text\n" + b"x" * 200_000 + b"\n")
    assert len(row["text"]) == 200_000


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
    with pytest.raises(RecordsError, match="has no split 'dev', but train, test"):
        read(tmp_path / "saved", split="dev")


def test_a_dataset_saved_without_splits_is_read_and_a_folder_that_is_none_refused(tmp_path):
    from datasets import Dataset

    Dataset.from_list([{"n": 1}]).save_to_disk(tmp_path / "saved")
    assert read(tmp_path / "saved") == [("saved[0]", {"n": 1})]
    with pytest.raises(RecordsError, match="cannot be read"):
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
    monkeypatch.setattr(records, "LARGEST_ROW", 1000)
    monkeypatch.setattr(records, "LARGEST_DOCUMENT", 5000)


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
    assert "the most that is read: split or shorten it" in reason


def test_a_saved_dataset_has_the_same_bound(tmp_path, small_bounds):
    from datasets import Dataset

    Dataset.from_list([{"turns": ["a", LONG]}, {"turns": ["b"]}]).save_to_disk(tmp_path / "saved")
    (_, reason), (_, row) = read(tmp_path / "saved")
    assert "the most that is read" in reason and row == {"turns": ["b"]}


@pytest.mark.parametrize("text", [f"1,{LONG}\n", '1,"' + "y\n" * 800 + '"\n', "1," + "," * 1500 + "\n"])
def test_a_csv_row_that_is_too_large_ends_the_file_by_name(tmp_path, small_bounds, text):
    with pytest.raises(RecordsError, match=r"a\.csv:\d+: a row of more than .* not read either"):
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
from preceptor import records
from preceptor.study.fields import Records
import pyarrow.parquet
records.LARGEST_DOCUMENT = 64 * 2**20
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)
try:
    for place, row in records.read_records(Records(path=sys.argv[1])):
        print(place, row if isinstance(row, str) else len(str(row)))
except records.RecordsError as error:
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
