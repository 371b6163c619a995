"""HumanEval's problems, read so that every row of the file is one: the benchmark never shrinks silently."""

import re
from dataclasses import dataclass

from preceptor.evaluation.whole_file import read_whole
from preceptor.records import Row
from preceptor.records.layout import RecordError
from preceptor.study.fields import Records

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


@dataclass(frozen=True)
class Problem:
    """The head of a function with its docstring, a body that is right, and a `check` of any candidate."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


def read_problems(records: Records) -> list[Problem]:
    """All problems, in the file's order.

    Raises BenchmarkError for a row without one of the fields, one whose prompt or test does not define what
    it is called by, a task_id that an earlier row has, or a file without rows; RecordsError for a bad file.
    """
    return read_whole(
        records, "HumanEval", _problem, lambda problem: (problem.task_id, f"task_id {problem.task_id!r}")
    )


def _problem(row: Row) -> Problem:
    problem = Problem(*(_text(row, field) for field in FIELDS))
    if not defines(problem.prompt, problem.entry_point):
        raise RecordError(
            f"field 'prompt' has no line 'def {problem.entry_point}(': the function must be the one that"
            " field 'entry_point' names"
        )
    if not defines(problem.test, "check"):
        raise RecordError("field 'test' has no line 'def check(': write the tests as check(candidate)")
    return problem


def defines(code: str, function: str) -> bool:
    """Whether code has a function of this name that is nobody's method or inner function."""
    return re.search(rf"^(?:async +)?def +{re.escape(function)}\s*\(", code, re.MULTILINE) is not None


def _text(row: Row, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"field {field!r} holds no text (the row has {', '.join(map(str, list(row)[:8]))})")
    return value
