"""Read a study from its YAML file; every mistake in it is reported at once, with line and path."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from preceptor.study.document import Document, Place, Problem, StudyError, read_document
from preceptor.study.endpoint import MAY_BE_SECRET
from preceptor.study.references import reference_problems
from preceptor.study.schema import Study
from preceptor.study.variables import expand

__all__ = ["StudyError", "load_study"]
SHOWN = 200  # characters of a refused value


def load_study(path: str | Path, environment: Mapping[str, str] = os.environ) -> Study:
    """Read, expand and validate a study file.

    Raises StudyError with one line per problem: file, line, path, value and what is allowed.
    """
    file = Path(path)
    document = read_document(file)
    data = expand(document.data, environment, (), document.problems)
    broken = {problem.place for problem in document.problems}
    problems = [*document.problems, *(Problem(*found) for found in reference_problems(data))]
    study = None
    try:
        study = Study.model_validate(data, context={"folder": file.resolve().parent})
    except ValidationError as error:
        # A part that is already known to be broken would only be complained of twice.
        found = [_problem(detail, data) for detail in error.errors(include_url=False) if _counts(detail)]
        problems += [p for p in found if not any(place[: len(p.place)] == p.place for place in broken)]
    if problems or study is None:
        text = "\n".join(_sentences(file, document, list(dict.fromkeys(problems))))
        raise StudyError(text.encode(errors="backslashreplace").decode())
    return study


def _counts(detail: ErrorDetails) -> bool:
    """A list is not too short because its items are bad."""
    return detail["type"] != "too_short" or not detail["input"]


def _problem(detail: ErrorDetails, data: Any) -> Problem:
    """One of pydantic's errors, in our words and at its place in the file."""
    kind, context = detail["type"], detail.get("ctx", {})
    place = _place(detail["loc"], data, missing=kind == "missing")
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        place = (*place, context["discriminator"].strip("'"))
    if kind in ("missing", "union_tag_not_found"):
        return Problem(place, "is required")
    if kind == "union_tag_invalid":
        return Problem(place, f"{context['tag']!r} is refused: allowed are {context['expected_tags']}")
    if kind == "extra_forbidden":
        return Problem(place, f"is no key known here; known are {', '.join(_known(detail['loc']))}")
    message = detail["msg"].removeprefix("Value error, ")
    if kind == MAY_BE_SECRET or (kind == "value_error" and isinstance(detail["input"], dict)):
        return Problem(place, message)
    if kind == "string_type":
        message += " (put it in quotes to make it one)"
    value = repr(detail["input"])
    value = value if len(value) <= SHOWN else value[:SHOWN] + "…"
    return Problem(place, f"{value} is refused: {message}")


def _place(location: tuple[str | int, ...], data: Any, missing: bool) -> Place:
    """Pydantic's location without the tags of unions, which do not stand in the file."""
    place: list[str | int] = []
    for number, part in enumerate(location):
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int)):
            data = data[part]
            place.append(part)
        elif missing and number == len(location) - 1:
            place.append(part)
    return tuple(place)


def _known(location: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at a location has."""
    model: type[BaseModel] = Study
    candidates: list[type[BaseModel]] = []
    for part in location[:-1]:
        if part in model.model_fields and not candidates:
            candidates = _models(model.model_fields[part].annotation)
        if len(candidates) > 1 and isinstance(part, str):
            candidates = [
                c for c in candidates if any(part in get_args(f.annotation) for f in _fields(c))
            ] or (candidates)
        if len(candidates) == 1:
            model, candidates = candidates[0], []
    return list(model.model_fields)


def _fields(model: type[BaseModel]) -> Iterator[Any]:
    yield from model.model_fields.values()


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation is made of: those of a union, a tuple, an Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _sentences(file: Path, document: Document, problems: list[Problem]) -> Iterator[str]:
    count = len(problems)
    yield f"{file} has {count} problem{'s' if count > 1 else ''}:"
    for problem in sorted(problems, key=lambda p: (document.line(p.place), _path(p.place), p.message)):
        yield f"  {file}:{document.line(problem.place)}: {_path(problem.place) or 'study'}: {problem.message}"


def _path(place: Place) -> str:
    """teachers[1].sampling.n, with a key that cannot be printed as it is in quotes."""
    words = (part if isinstance(part, int) or (part.isprintable() and part) else repr(part) for part in place)
    return "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words).removeprefix(".")
