"""Teacher files: every YAML file in a watched folder or S3 prefix declares one teacher.

An invalid file is left out with a message that says what to fix; the other files are still read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from preceptor.study.document import Problem, StudyError, read_document
from preceptor.study.fields import Frozen
from preceptor.study.teachers import AnyTeacher, Teacher
from preceptor.study.validate import besides, refuse, validated
from preceptor.study.variables import expand

SUFFIXES = (".yaml", ".yml")
REMOTE = "s3://"


@dataclass(frozen=True)
class TeacherFiles:
    """The teachers of a folder in the order of their file names, and the reasons for files left out."""

    teachers: tuple[AnyTeacher, ...] = ()
    left_out: tuple[str, ...] = ()


class TeacherFile(Frozen):
    """Wraps a file's content in one field, because pydantic's errors need a location for a union."""

    teacher: Teacher


def read_teacher_files(place: str, environment: Mapping[str, str], taken: Iterable[str]) -> TeacherFiles:
    """Read every teacher file of a folder or S3 prefix; `taken` has the names of the study's own teachers.

    Raises StudyError if the folder cannot be read, or if S3 cannot be read and there is no earlier copy.
    """
    if not place.startswith(REMOTE):
        return _read_folder(Path(place), environment, taken)
    from preceptor.lake.mirror import mirrored

    mirror = mirrored(place)
    if mirror.problem is not None and not mirror.complete:
        raise StudyError(f"teacher_files: {mirror.problem}")
    found = _read_folder(mirror.folder, environment, taken)
    left_out = [text.replace(str(mirror.folder), place.rstrip("/")) for text in found.left_out]
    if mirror.problem is not None:
        left_out.append(f"{mirror.problem}. The study uses this machine's last copy of the teachers")
    return TeacherFiles(found.teachers, tuple(left_out))


def _read_folder(folder: Path, environment: Mapping[str, str], names: Iterable[str]) -> TeacherFiles:
    teachers: list[AnyTeacher] = []
    left_out: list[str] = []
    taken = {name.lower(): "the study itself" for name in names}
    for file in _files(folder):
        try:
            teacher = _read_file(file, environment, taken)
        except StudyError as error:
            left_out.append(f"left out: {error}")
        else:
            teachers.append(teacher)
            taken[teacher.name.lower()] = str(file)
    return TeacherFiles(tuple(teachers), tuple(left_out))


def _files(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise StudyError(f"teacher_files: {folder} cannot be read: {error}") from error
    # Skip hidden files: editors and copy programs write to them before renaming.
    yield from (file for file in found if file.suffix in SUFFIXES and not file.name.startswith("."))


def _read_file(file: Path, environment: Mapping[str, str], taken: Mapping[str, str]) -> AnyTeacher:
    document = read_document(file, "teacher", "name, engine …")
    data = expand(document.data, environment, (), document.problems)
    part, found = validated(TeacherFile, {"teacher": data}, file.resolve().parent)
    here = [Problem(problem.place[1:], problem.message) for problem in found]
    problems = besides(here, document.problems)
    name = data.get("name")
    if isinstance(name, str) and name.lower() in taken:
        text = f"{name!r} is already a teacher in {taken[name.lower()]}: choose another name"
        problems.append(Problem(("name",), text))
    refuse(file, document, [*document.problems, *problems], "teacher")
    assert part is not None
    return part.teacher
