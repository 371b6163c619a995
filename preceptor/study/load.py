"""Reads a study from its YAML file, and reports all mistakes at once with line and path."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.study.document import Problem, StudyError, printed, read_document
from preceptor.study.fields import Frozen, TeacherFolder
from preceptor.study.plain import plain_study
from preceptor.study.prompt_date import dated
from preceptor.study.references import reference_problems
from preceptor.study.schema import Study
from preceptor.study.sections import entry_names
from preceptor.study.teacher_files import TeacherFiles, read_teacher_files
from preceptor.study.validate import besides, refuse, validated
from preceptor.study.variables import expand

__all__ = ["ReadStudy", "StudyError", "load_study", "read_study", "study_path"]


@dataclass(frozen=True)
class ReadStudy:
    """A study with the teachers of its teacher files, and a sentence for each file left out."""

    study: Study
    left_out: tuple[str, ...] = ()


def study_path() -> str:
    """The file that PRECEPTOR_STUDY names."""
    path = os.environ.get("PRECEPTOR_STUDY")
    if not path:
        raise StudyError(
            "PRECEPTOR_STUDY is not set: export the path of a study, such as studies/arena_bench.yaml"
        )
    return path


def load_study(path: str | Path, environment: Mapping[str, str] = os.environ) -> Study:
    """The study that `read_study` reads."""
    return read_study(path, environment).study


def read_study(path: str | Path, environment: Mapping[str, str] = os.environ) -> ReadStudy:
    """Read, expand and validate a study file, and the teacher files that it names.

    Raises StudyError with one line per problem in the study itself: file, line, path, value, and what is
    allowed. An invalid teacher file is left out instead.
    """
    file = Path(path)
    document = read_document(file)
    data = expand(document.data, environment, (), document.problems)
    folder = file.resolve().parent
    found, readable = _teachers_in_files(data, environment, folder)
    # An unreadable file may define any teacher, so names of teachers are not checked.
    incomplete = () if readable and not found.left_out else ("teachers",)
    in_files = [teacher.name for teacher in found.teachers]
    plain = plain_study(Study, data, in_files, incomplete)
    study, problems = validated(Study, plain.data, folder)
    problems = besides([*plain.problems, *plain.located(problems)], document.problems)
    everybody = _with_teachers(plain.data, in_files)
    references = reference_problems(
        Study, everybody, plain.incomplete, lambda place: printed(plain.origin(place))
    )
    others = [*_no_teachers(data), *(Problem(*reference) for reference in references)]
    refuse(file, document, [*document.problems, *problems, *plain.located(others)])
    assert study is not None
    whole = study.model_copy(update={"teachers": (*study.teachers, *found.teachers)})
    return ReadStudy(dated(whole), found.left_out)


class WatchedFolder(Frozen):
    """The key of a study that must be read before grids are expanded."""

    teacher_files: TeacherFolder | None = None


def _teachers_in_files(
    data: dict[str, Any], environment: Mapping[str, str], folder: Path
) -> tuple[TeacherFiles, bool]:
    """The teachers in the study's folder of teacher files, and whether the folder is readable or not set."""
    watched, _ = validated(WatchedFolder, {"teacher_files": data.get("teacher_files")}, folder)
    if watched is None or watched.teacher_files is None:
        return TeacherFiles(), watched is not None
    own = entry_names(data.get("teachers"))
    return read_teacher_files(watched.teacher_files, environment, own), True


def _no_teachers(data: dict[str, Any]) -> Iterator[Problem]:
    empty = "teachers" in data and data["teachers"] is None  # the schema reports this
    if not data.get("teachers") and not data.get("teacher_files") and not empty:
        yield Problem(
            ("teachers",), "is required: a list of teachers, or a folder of teacher files in 'teacher_files'"
        )


def _with_teachers(data: dict[str, Any], in_files: list[str]) -> dict[str, Any]:
    own = data.get("teachers")
    if not in_files or not isinstance(own, list | None):
        return data
    return {**data, "teachers": [*(own or []), *({"name": name} for name in in_files)]}
