"""Reads HumanEval's problems. An unusable row is an error, so that no row is dropped silently."""

import re
from dataclasses import dataclass

from preceptor.evaluation.whole_file import read_whole
from preceptor.records import Row
from preceptor.records.layout import RecordError
from preceptor.study.fields import Records

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


@dataclass(frozen=True)
class Problem:
    """A function's head with its docstring, a correct body, and a `check` of any candidate."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


def read_problems(records: Records) -> list[Problem]:
    """All problems, in the file's order.

    Raises BenchmarkError for a row without one of the fields, a prompt or test that does not define its
    function, a repeated task_id, or a file without rows. Raises RecordsError for a bad file.
    """
    return read_whole(
        records, "HumanEval", _problem, lambda problem: (problem.task_id, f"task_id {problem.task_id!r}")
    )


def _problem(row: Row) -> Problem:
    problem = Problem(*(_text(row, field) for field in FIELDS))
    if not defines(problem.prompt, problem.entry_point):
        raise RecordError(
            f"field 'prompt' has no line 'def {problem.entry_point}(': it must define the function that field"
            " 'entry_point' names"
        )
    if not defines(problem.test, "check"):
        raise RecordError("field 'test' has no line 'def check(': write the tests as check(candidate)")
    return problem


def defines(code: str, function: str) -> bool:
    """Whether code defines a function of this name at the top level."""
    return re.search(rf"^(?:async +)?def +{re.escape(function)}\s*\(", code, re.MULTILINE) is not None


def _text(row: Row, field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"field {field!r} has no text (the row has {', '.join(map(str, list(row)[:8]))})")
    return value
