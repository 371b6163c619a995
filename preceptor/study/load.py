"""Read a study from its YAML file; every mistake in it is reported at once, with line and path."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from preceptor.study.references import reference_problems
from preceptor.study.schema import Study

Place = tuple[str | int, ...]
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
SECRET = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)($|_)", re.IGNORECASE)


class StudyError(ValueError):
    """A study that cannot be used; its text lists every problem found."""


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is in the file, and what to do about it."""

    place: Place
    message: str


def load_study(path: str | Path, environment: Mapping[str, str] = os.environ) -> Study:
    """Read, expand and validate a study file.

    Raises StudyError with one line per problem: file, line, path, value and what is allowed.
    """
    file = Path(path)
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StudyError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise StudyError(f"{file}: a study is a mapping with the keys {', '.join(Study.model_fields)}")
    problems = list(_repeated_keys(root, ()))
    document = _expand(yaml.safe_load(file.read_text(encoding="utf-8")), environment, (), problems)
    broken = {problem.place for problem in problems}
    problems += [Problem(place, message) for place, message in reference_problems(document)]
    study = None
    try:
        study = Study.model_validate(document, context={"folder": file.resolve().parent})
    except ValidationError as error:
        problems += [p for p in _schema_problems(error, document) if p.place not in broken]
    if problems or study is None:
        raise StudyError("\n".join(_sentences(file, root, problems)))
    return study


def _expand(value: Any, environment: Mapping[str, str], place: Place, problems: list[Problem]) -> Any:
    """Replace ${VAR} and ${VAR:-default} in every string."""
    if isinstance(value, dict):
        return {k: _expand(v, environment, (*place, k), problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, environment, (*place, i), problems) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        name, default = match.groups()
        if SECRET.search(name):
            problems.append(Problem(place, f"{name} looks like a secret: engines read secrets themselves"))
        elif name in environment:
            return environment[name]
        elif default is None:
            problems.append(Problem(place, f"{name} is not set: export it, or write ${{{name}:-default}}"))
        return default or ""

    return VARIABLE.sub(replacement, value)


def _repeated_keys(node: yaml.Node, place: Place) -> Iterator[Problem]:
    """YAML itself lets a later key silently replace an earlier one."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*place, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Problem((*place, key.value), "the key stands here twice")
            seen.add(key.value)
            yield from _repeated_keys(value, (*place, key.value))


def _schema_problems(error: ValidationError, document: Any) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        place = _place(detail["loc"], document)
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "missing":
            message = "is required"
        elif detail["type"] == "extra_forbidden":
            message = "is not a key that a study knows here"
        elif not isinstance(detail["input"], dict | list):
            message = f"{detail['input']!r} is refused: {message}"
        yield Problem(place, message)


def _place(location: tuple[str | int, ...], document: Any) -> Place:
    """Pydantic's location without the tags of unions, which do not stand in the file."""
    place: list[str | int] = []
    for number, part in enumerate(location):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and isinstance(part, int):
            document = document[part]
        elif number < len(location) - 1:
            continue
        place.append(part)
    return tuple(place)


def _sentences(file: Path, root: yaml.Node, problems: list[Problem]) -> Iterator[str]:
    count = len(problems)
    yield f"{file} has {count} problem{'s' if count > 1 else ''}:"
    for problem in sorted(set(problems), key=lambda p: (_line(root, p.place), str(p.place))):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.place)
        yield f"  {file}:{_line(root, problem.place)}: {path.removeprefix('.') or 'study'}: {problem.message}"


def _line(node: yaml.Node, place: Place) -> int:
    """The line of the deepest node on the way to a place."""
    line = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = (node.value[part], node.value[part])
        else:
            found = None
        if found is None:
            return line
        line, node = found[0].start_mark.line + 1, found[1]
    return line
