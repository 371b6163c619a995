"""Local rows: found by name, read whole, and refused by file and row."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.evaluation.lm_eval.presets import BBH, GSM8K, PRESETS
from preceptor.evaluation.lm_eval.rows import read_rows, split_files
from preceptor.evaluation.whole_file import BenchmarkError

MMLU = PRESETS["mmlu"]
ROWS = [{"question": "1 + 1?", "answer": "It is 2.\n#### 2"}, {"question": "2 + 2?", "answer": "#### 4"}]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    "name", ["test.jsonl", "main/test.jsonl", "data/test.jsonl", "main.jsonl", "main/test.json"]
)
def test_a_splits_file_is_found_by_its_name(tmp_path, name):
    path = write(tmp_path / name, ROWS)
    assert split_files(GSM8K, GSM8K.tasks[0], tmp_path) == {"test": (path,)}


def test_a_hubs_parts_are_one_split(tmp_path):
    parts = [write(tmp_path / f"main/test-0000{n}-of-00002.parquet", []) for n in range(2)]
    write(tmp_path / "main/train-00000-of-00001.parquet", [])
    assert split_files(GSM8K, GSM8K.tasks[0], tmp_path) == {"test": tuple(parts)}


def test_a_file_can_be_given_itself(tmp_path):
    path = write(tmp_path / "anything.jsonl", ROWS)
    assert read_rows(GSM8K, split_files(GSM8K, GSM8K.tasks[0], path)["test"]) == ROWS


def test_two_files_for_a_split_are_refused(tmp_path):
    write(tmp_path / "test.jsonl", ROWS)
    write(tmp_path / "test.csv", ROWS)
    with pytest.raises(BenchmarkError, match=r"several files for test.*test\.jsonl, test\.csv"):
        split_files(GSM8K, GSM8K.tasks[0], tmp_path)


@pytest.mark.parametrize("name", ["mmlu", "mmlu_5shot", "tydiqa", "ifeval", "gsm8k", "bbh"])
def test_without_files_the_error_says_which_to_put_where(tmp_path, name):
    preset = PRESETS[name]
    task = preset.tasks[0]
    wanted = rf"{task.name}.*no file for the split '{preset.splits[0]}': put {task.rows}/.*\.jsonl"
    with pytest.raises(BenchmarkError, match=wanted):
        split_files(preset, task, tmp_path)


def test_one_file_is_no_benchmark_with_worked_examples_of_its_own(tmp_path):
    path = write(tmp_path / "anatomy.jsonl", ROWS)
    with pytest.raises(BenchmarkError, match="one file, but 57 tasks with the splits test, dev"):
        split_files(MMLU, MMLU.tasks[0], path)


def test_the_evaluated_rows_are_never_taken_for_worked_examples(tmp_path):
    write(tmp_path / "abstract_algebra.jsonl", ROWS)
    with pytest.raises(BenchmarkError, match="no file for the split 'test'"):
        split_files(MMLU, MMLU.tasks[0], tmp_path)


@given(
    st.lists(st.fixed_dictionaries({"input": st.text(min_size=1), "target": st.text(min_size=1)}), min_size=1)
)
def test_rows_in_a_field_are_read_as_they_are(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("bbh")
    document = json.dumps({"canary": "x", "examples": rows}).encode()
    (folder / "plain.json").write_bytes(document)
    (folder / "packed.json.gz").write_bytes(gzip.compress(document))
    assert read_rows(BBH, (folder / "plain.json", folder / "packed.json.gz")) == rows + rows


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "cannot be read"),
        (b"[]", "'examples' is a list of rows"),
        (b'{"examples": 3}', "'examples' is a list of rows"),
        (b'{"examples": []}', "has no rows"),
        (b'{"examples": ["x"]}', r"snarks\.json\[0\]: a JSON str is not a row"),
        (
            b'{"examples": [{"input": "x", "target": "(A)"}, {"input": "x"}]}',
            r"\[1\]: column 'target' is missing",
        ),
        (b'{"examples": [{"input": "", "target": "(A)"}]}', r"\[0\]: column 'input' is missing or empty"),
    ],
)
def test_a_malformed_file_is_named_with_what_to_mend(tmp_path, content, problem):
    (tmp_path / "snarks.json").write_bytes(content)
    with pytest.raises(BenchmarkError, match=rf"(?s)'bbh'.*snarks\.json.*{problem}"):
        read_rows(BBH, (tmp_path / "snarks.json",))


@pytest.mark.parametrize("damage", [b"no gzip at all", gzip.compress(b"{}" * 99, mtime=0)[:-12]])
def test_a_damaged_archive_is_named(tmp_path, damage):
    (tmp_path / "snarks.json.gz").write_bytes(damage)
    with pytest.raises(BenchmarkError, match=r"snarks\.json\.gz: cannot be read"):
        read_rows(BBH, (tmp_path / "snarks.json.gz",))


def test_a_bad_line_stops_the_benchmark(tmp_path):
    path = write(tmp_path / "test.jsonl", ROWS)
    path.write_text(path.read_text() + "not json\n")
    with pytest.raises(BenchmarkError, match=r"test\.jsonl:3: not JSON"):
        read_rows(GSM8K, (path,))


def test_only_the_presets_columns_are_needed(tmp_path):
    path = write(tmp_path / "test.jsonl", [{"question": "?"}])
    assert read_rows(replace(GSM8K, columns=("question",)), (path,)) == [{"question": "?"}]
