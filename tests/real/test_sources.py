"""Instruction sources as they really are: counts per format, and texts exactly as in the raw files."""

import gzip
import json
from collections import Counter

import pytest

from preceptor.instructions.account import LossySourceError, NoInstructionsError, refuse_lossy
from preceptor.instructions.collect import collect_instructions
from preceptor.records import RecordsError
from preceptor.study.schema import Instructions, InstructionSource
from tests.conftest import REAL_DATA

pytestmark = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real data at {REAL_DATA}")

QUESTION = {"instruction": "question"}
# path → format, columns, rows read, rows kept, {user turns: rows}. Dolly repeats 15 of its instructions.
# What else of text there is in these files, and is none of the instruction:
IGNORED = {
    "humaneval/HumanEval.jsonl.gz": ("canonical_solution", "test"),
}
SOURCES = {
    "arena_bench/questions.jsonl.gz": ("fastchat", {}, 300, 300, {1: 300}),
    "arena_hard/questions.jsonl.gz": ("fastchat", {}, 500, 500, {1: 500}),
    "mt_bench/question.jsonl": ("fastchat", {}, 80, 80, {2: 80}),
    "alpaca_eval/outputs/alpaca-7b.json.gz": ("alpaca_eval", {}, 805, 805, {1: 805}),
    "lima/lima_data.jsonl.gz": ("messages", {}, 1030, 1030, {1: 1000, 2: 16, 3: 10, 4: 3, 10: 1}),
    "alpaca/alpaca_5000.json.gz": ("alpaca", {}, 5000, 5000, {1: 5000}),
    "alpaca/seed_tasks.jsonl": ("alpaca", {}, 175, 175, {1: 175}),
    "dolly/dolly_3k.json.gz": ("alpaca", {}, 2996, 2981, {1: 2981}),
    "gsm8k/train.jsonl.gz": ("plain", QUESTION, 7473, 7473, {1: 7473}),
    "gsm8k/test.jsonl.gz": ("plain", QUESTION, 1319, 1319, {1: 1319}),
    "humaneval/HumanEval.jsonl.gz": ("plain", {"instruction": "prompt", "id": "task_id"}, 164, 164, {1: 164}),
    "best_of_16/tulu-2-dpo-13b.0.annotations.json.gz": ("plain", {"id": "id"}, 805, 805, {1: 805}),
}


def raw(path: str) -> list[dict]:
    file = REAL_DATA / path
    data = gzip.decompress(file.read_bytes()) if path.endswith(".gz") else file.read_bytes()
    if ".jsonl" in path:
        return [json.loads(line) for line in data.split(b"\n") if line]
    return json.loads(data)


def collect(*paths: str):
    sources = []
    for number, path in enumerate(paths):
        format, columns, *_ = SOURCES[path]
        file = str(REAL_DATA / path)
        more = {"columns": columns, "ignore": IGNORED.get(path, ())}
        sources.append(InstructionSource(name=f"s{number}", path=file, format=format, **more))
    return collect_instructions(Instructions(sources=tuple(sources), near_duplicate_threshold=None))


@pytest.mark.parametrize("path", SOURCES)
def test_every_row_of_every_source_is_read_and_kept_or_counted_as_a_duplicate(path):
    _, _, read, kept, turns = SOURCES[path]
    rows, [count] = collect(path)
    assert (count.read, count.kept, count.dropped.total()) == (read, kept, read - kept)
    assert set(count.dropped) <= {"exact duplicate of a row of s0"}
    assert dict(Counter(rows["turns"].list.len().to_list())) == turns
    refuse_lossy([count], 0.05)
    assert list(count.losses()) == []


@pytest.mark.parametrize("path", IGNORED)
def test_text_that_nothing_reads_is_refused_by_column_with_the_setting_that_reads_it(path):
    format, columns, read, *_ = SOURCES[path]
    source = InstructionSource(name="s", path=str(REAL_DATA / path), format=format, columns=columns)
    _, counts = collect_instructions(Instructions(sources=(source,), near_duplicate_threshold=None))
    with pytest.raises(LossySourceError) as refusal:
        refuse_lossy(counts, 0.05)
    for column in IGNORED[path]:
        assert f"column {column!r} " in str(refusal.value)
        assert f"'ignore: [{column}]' " in str(refusal.value)
    _, by_column = counts[0].unread.lost()
    assert set(by_column) == set(IGNORED[path]) and max(by_column.values()) <= read


def test_a_seed_tasks_input_is_part_of_its_instruction_and_plain_refuses_the_file():
    rows, _ = collect("alpaca/seed_tasks.jsonl")
    records = raw("alpaca/seed_tasks.jsonl")
    parts = [(r["instruction"], r["instances"][0]["input"]) for r in records]
    expected = ["\n\n".join(part for part in both if part.strip()) for both in parts]
    assert rows["turns"].to_list() == [[text] for text in expected]
    assert sum("\n\n" in text for text in expected) > 100
    plain = InstructionSource(name="s", path=str(REAL_DATA / "alpaca/seed_tasks.jsonl"))
    _, counts = collect_instructions(Instructions(sources=(plain,)))
    with pytest.raises(LossySourceError, match=r"column 'instances' .* 173 of 175 rows: 'format: alpaca'"):
        refuse_lossy(counts, 0.05)


@pytest.mark.parametrize(
    ("path", "turns", "id"),
    [
        ("arena_bench/questions.jsonl.gz", lambda r: r["turns"], "question_id"),
        ("arena_hard/questions.jsonl.gz", lambda r: [r["prompt"]], "uid"),
        ("mt_bench/question.jsonl", lambda r: r["turns"], "question_id"),
        (
            "lima/lima_data.jsonl.gz",
            lambda r: [m["content"] for m in r["messages"] if m["role"] == "user"],
            "id",
        ),
        ("humaneval/HumanEval.jsonl.gz", lambda r: [r["prompt"]], "task_id"),
        ("gsm8k/test.jsonl.gz", lambda r: [r["question"]], None),
    ],
)
def test_instructions_are_word_for_word_those_of_the_raw_file_in_its_order(path, turns, id):
    rows, _ = collect(path)
    records = raw(path)
    assert rows["turns"].to_list() == [turns(record) for record in records]
    assert rows["source_ids"].to_list() == [[str(record[id])] if id else [] for record in records]


def test_an_alpaca_input_stands_below_its_instruction():
    rows, _ = collect("alpaca/alpaca_5000.json.gz")
    records = raw("alpaca/alpaca_5000.json.gz")
    expected = ["\n\n".join(part for part in (r["instruction"], r["input"]) if part) for r in records]
    assert [turns for [turns] in rows["turns"]] == expected


def test_overlapping_sources_give_each_instruction_once_whichever_comes_first():
    paths = ("alpaca_eval/outputs/alpaca-7b.json.gz", "best_of_16/tulu-2-dpo-13b.0.annotations.json.gz")
    rows, [first, second] = collect(*paths)
    assert (first.kept, second.kept, second.dropped.total()) == (805, 0, 805)
    swapped, _ = collect(*reversed(paths))
    assert set(rows["instruction_id"]) == set(swapped["instruction_id"])
    assert rows["source_ids"].list.len().to_list() == [1] * 805  # the second source's ids are kept


def test_a_file_in_another_format_is_refused_and_not_read_as_nothing():
    source = InstructionSource(name="s", path=str(REAL_DATA / "dolly/dolly_3k.json.gz"), format="messages")
    with pytest.raises(NoInstructionsError, match=r"2,996 × no column 'messages' \(there are instruction, "):
        collect_instructions(Instructions(sources=(source,)))
    bbh = next((REAL_DATA / "bbh" / "bbh").glob("*.json"))
    with pytest.raises(RecordsError, match="list of objects"):
        collect_instructions(Instructions(sources=(InstructionSource(name="s", path=str(bbh)),)))
