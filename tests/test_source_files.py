"""A study's files of rows, read through before anything runs."""

import json

import pytest

from preceptor.source_files import file_problems
from preceptor.study.reward_models import RecordedRewardModel
from preceptor.study.schema import InstructionSource
from preceptor.study.teachers import RecordedTeacher

ASKED = {"instruction": "Hi"}
ANSWERED = {"instruction": "Hi", "response": "Ho"}
SCORED = {"question_id": "q", "model": "t", "score": 1}


def problems(tmp_path, kind, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    engine = {} if kind is InstructionSource else {"engine": "recorded"}
    return file_problems(kind(name="mine", path=str(path), **engine), 0.05)


@pytest.mark.parametrize(
    ("kind", "row"), [(InstructionSource, ASKED), (RecordedTeacher, ANSWERED), (RecordedRewardModel, SCORED)]
)
def test_a_good_file_has_no_problem_and_a_bad_one_is_named_with_place_and_reason(tmp_path, kind, row):
    assert problems(tmp_path, kind, row) == []
    for bad, said in (
        ([row, "broken"], "rows.jsonl:2"),
        (["[", row, "]"], "contains a JSON list"),
        ([{"other": "A b."}], "(there are other)"),
        ([], "empty" if kind is not RecordedRewardModel else "has no rows"),
    ):
        [problem] = problems(tmp_path, kind, *bad)
        assert "mine" in problem and "rows.jsonl" in problem and said in problem


@pytest.mark.parametrize(("kind", "row"), [(InstructionSource, ASKED), (RecordedTeacher, ANSWERED)])
def test_text_that_nothing_reads_is_a_problem(tmp_path, kind, row):
    [problem] = problems(tmp_path, kind, {**row, "context": "A page."})
    assert "column 'context' contains unread text in 1 of 1 rows" in problem


def test_rows_that_would_merge_though_a_column_tells_them_apart_are_a_problem(tmp_path):
    rows = [{"instruction": "Give a synonym.", "lemma": word} for word in ("dog", "cat", "cow")]
    [problem] = problems(tmp_path, InstructionSource, *rows)
    assert "2 of 3 rows differ from an earlier one only in column 'lemma', which nothing reads" in problem
