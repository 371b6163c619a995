"""Read a study from its YAML file; every mistake in it is reported at once, with line and path."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.study.document import Problem, StudyError, read_document
from preceptor.study.prompt_date import dated
from preceptor.study.references import reference_problems
from preceptor.study.schema import Study
from preceptor.study.teacher_files import TeacherFiles, read_teacher_files
from preceptor.study.validate import refuse, validated
from preceptor.study.variables import expand

__all__ = ["ReadStudy", "StudyError", "load_study", "read_study", "study_path"]


@dataclass(frozen=True)
class ReadStudy:
    """A study with the teachers of its files, and a sentence for each file that had to be left out."""

    study: Study
    left_out: tuple[str, ...] = ()


def study_path() -> str:
    """The file that PRECEPTOR_STUDY names."""
    path = os.environ.get("PRECEPTOR_STUDY")
    if not path:
        raise StudyError(
            "PRECEPTOR_STUDY is not set: export the path of a study, say studies/arena_bench.yaml"
        )
    return path


def load_study(path: str | Path, environment: Mapping[str, str] = os.environ) -> Study:
    """The study that `read_study` reads."""
    return read_study(path, environment).study


def read_study(path: str | Path, environment: Mapping[str, str] = os.environ) -> ReadStudy:
    """Read, expand and validate a study file, and the teacher files that it names.

    Raises StudyError with one line per problem of the study itself: file, line, path, value and what is
    allowed. A bad teacher file is left out instead.
    """
    file = Path(path)
    document = read_document(file)
    data = expand(document.data, environment, (), document.problems)
    study, problems = validated(Study, data, file.resolve().parent, document.problems)
    found = TeacherFiles()
    if study is not None and study.teacher_files is not None:
        found = read_teacher_files(study.teacher_files, environment, study.teachers)
    # Who lies in a file that cannot be read, nobody can say: names of teachers are taken on trust then.
    everybody = not found.left_out and (study is not None or "teacher_files" not in data)
    incomplete = set() if everybody else {"teachers"}
    references = reference_problems(Study, _with_teachers(data, found), incomplete)
    problems = [*document.problems, *problems, *_no_teachers(data)]
    refuse(file, document, [*problems, *(Problem(*reference) for reference in references)])
    assert study is not None
    whole = study.model_copy(update={"teachers": (*study.teachers, *found.teachers)})
    return ReadStudy(dated(whole), found.left_out)


def _no_teachers(data: dict[str, Any]) -> Iterator[Problem]:
    empty = "teachers" in data and data["teachers"] is None  # which the schema says
    if not data.get("teachers") and not data.get("teacher_files") and not empty:
        yield Problem(
            ("teachers",), "is required: a list of teachers, or a folder of them as 'teacher_files'"
        )


def _with_teachers(data: dict[str, Any], found: TeacherFiles) -> dict[str, Any]:
    own = data.get("teachers")
    if not found.teachers or not isinstance(own, list | None):
        return data
    return {**data, "teachers": [*(own or []), *({"name": teacher.name} for teacher in found.teachers)]}
