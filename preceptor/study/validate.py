"""A document held against the schema; pydantic's errors in our words, each at its place in the file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from preceptor.study.document import Document, Place, Problem, StudyError
from preceptor.study.endpoint import MAY_BE_SECRET

SHOWN = 200  # characters of a refused value
Part = TypeVar("Part", bound=BaseModel)


def validated(
    model: type[Part], data: Any, folder: Path, broken: Iterable[Problem]
) -> tuple[Part | None, list[Problem]]:
    """The part that data make, or None and why not; paths in it count from `folder`.

    A place that is `broken` already would only be complained of twice.
    """
    known = {problem.place for problem in broken}
    try:
        return model.model_validate(data, context={"folder": folder}), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [_problem(model, detail, data) for detail in details if _counts(detail)]
        return None, [p for p in found if not any(place[: len(p.place)] == p.place for place in known)]


def refuse(file: Path, document: Document, problems: Iterable[Problem], subject: str = "study") -> None:
    """Raise StudyError with one line per problem, where there is any: file, line, path, and what to do."""
    listed = list(dict.fromkeys(problems))
    if listed:
        text = "\n".join(_sentences(file, document, listed, subject))
        raise StudyError(text.encode(errors="backslashreplace").decode())


def _counts(detail: ErrorDetails) -> bool:
    """A list is not too short because its items are bad."""
    return detail["type"] != "too_short" or not detail["input"]


def _problem(model: type[BaseModel], detail: ErrorDetails, data: Any) -> Problem:
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
        known = ", ".join(_known(model, detail["loc"]))
        return Problem(place, f"is no key known here; known are {known}")
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


def _known(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at a location has."""
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


def _sentences(file: Path, document: Document, problems: list[Problem], subject: str) -> Iterator[str]:
    count = len(problems)
    yield f"{file} has {count} problem{'s' if count > 1 else ''}:"
    for problem in sorted(problems, key=lambda p: (document.line(p.place), _path(p.place), p.message)):
        where = _path(problem.place) or subject
        yield f"  {file}:{document.line(problem.place)}: {where}: {problem.message}"


def _path(place: Place) -> str:
    """teachers[1].sampling.n, with a key that cannot be printed as it is in quotes."""
    words = (part if isinstance(part, int) or (part.isprintable() and part) else repr(part) for part in place)
    return "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words).removeprefix(".")
