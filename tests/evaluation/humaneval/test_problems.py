"""HumanEval's rows become problems, or a sentence says which row does not."""

import json

import pytest

from preceptor.evaluation.humaneval.problems import Problem, read_problems
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.fields import Records

GOOD = {
    "task_id": "HumanEval/0",
    "prompt": 'def twice(x):\n    """2x"""\n',
    "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}


def records(tmp_path, rows) -> Records:
    file = tmp_path / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Records(path=str(file))


def test_rows_are_problems_in_the_files_order(tmp_path):
    rows = [{**GOOD, "task_id": name} for name in ("b", "a")]
    assert read_problems(records(tmp_path, rows)) == [Problem(**row) for row in rows]


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("value", [None, " ", 3])
def test_a_field_without_text_is_named_with_its_place(tmp_path, field, value):
    file = records(tmp_path, [{**GOOD, "task_id": "first"}, {**GOOD, field: value}])
    with pytest.raises(BenchmarkError) as caught:
        read_problems(file)
    assert (
        f"{file.path}, problems.jsonl:2: field '{field}' has no text (the row has task_id,"
        in f"{caught.value}"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entry_point": "thrice"}, r"no line 'def thrice\('.*'entry_point'"),
        ({"entry_point": "twi"}, r"no line 'def twi\('"),  # a part of a name is not the name
        ({"test": "assert True"}, r"field 'test' has no line 'def check\('"),
        ({"test": "class Tests:\n    def check(self): pass"}, r"field 'test' has no line"),
    ],
)
def test_a_row_that_does_not_define_what_it_names_is_an_error(tmp_path, change, message):
    with pytest.raises(BenchmarkError, match=message):
        read_problems(records(tmp_path, [{**GOOD, **change}]))


def test_a_repeated_task_names_both_places(tmp_path):
    with pytest.raises(BenchmarkError, match=r"jsonl:2: repeats task_id 'HumanEval/0' of problems.jsonl:1"):
        read_problems(records(tmp_path, [GOOD, GOOD]))


def test_a_row_that_is_no_object_and_a_file_without_rows_are_errors(tmp_path):
    with pytest.raises(BenchmarkError, match="jsonl:1: a JSON list instead of an object"):
        read_problems(records(tmp_path, [[1]]))
    with pytest.raises(BenchmarkError, match="has no rows"):
        read_problems(records(tmp_path, []))
