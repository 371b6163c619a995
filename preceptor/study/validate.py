"""A document held against the schema; pydantic's errors in our words, each at its place in the file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from preceptor.study.document import Document, Place, Problem, StudyError, printed, unknown
from preceptor.study.endpoint import MAY_BE_SECRET
from preceptor.study.fields import InGrids
from preceptor.study.sections import DEFAULTS, DISCRIMINATORS, axes, models_in

SHOWN = 200  # characters of a refused value
A_LIST = "a list belongs here: an entry a line, each behind '- '"
Part = TypeVar("Part", bound=BaseModel)


def validated(model: type[Part], data: Any, folder: Path) -> tuple[Part | None, list[Problem]]:
    """The part that data make, or None and why not; paths in it count from `folder`."""
    try:
        return model.model_validate(data, context={"folder": folder}), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [_problem(model, detail, data) for detail in details if _counts(detail)]


def besides(problems: Iterable[Problem], broken: Iterable[Problem]) -> list[Problem]:
    """The problems but for those at a place that is broken already: they would say it twice."""
    known = {problem.place for problem in broken}
    return [p for p in problems if not any(place[: len(p.place)] == p.place for place in known)]


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
    if kind == "union_tag_not_found":
        tags = ", ".join(map(repr, _tags(model, detail["loc"], str(place[-1]))))
        return Problem(place, f"is required: one of {tags}")
    if kind == "missing":
        return Problem(place, "is required")
    if kind == "union_tag_invalid":
        return Problem(place, f"{context['tag']!r} is refused: allowed are {context['expected_tags']}")
    if kind == "extra_forbidden":
        return Problem(place, unknown(str(place[-1]), _known(model, detail["loc"])))
    message = _message(detail, _parts(model, detail["loc"])[0])
    if kind == MAY_BE_SECRET or (kind == "value_error" and isinstance(detail["input"], dict)):
        return Problem(place, message)
    if detail["input"] is None:
        return Problem(place, f"is empty: {message}")
    value = repr(detail["input"])
    value = value if len(value) <= SHOWN else value[:SHOWN] + "…"
    return Problem(place, f"{value} is refused: {message}")


def _message(detail: ErrorDetails, part: type[BaseModel]) -> str:
    """What pydantic says, in our words; `part` is the model that belongs there, where one does."""
    match detail["type"]:
        case "tuple_type":
            return A_LIST
        case "too_short":
            return f"at least {detail['ctx']['min_length']} must be there"
        case "model_type" | "model_attributes_type":
            keys = sorted(part.model_fields, key=lambda name: not part.model_fields[name].is_required())
            return f"keys belong here, such as {', '.join(keys[:4])}"
        case "dict_type":
            return "keys with their values belong here"
        case "literal_error":
            return f"allowed are {detail['ctx']['expected']}"
        case "string_type":
            return "it must be a text (put it in quotes to make it one)"
    return detail["msg"].removeprefix("Value error, ").replace("Input should be", "it must be", 1)


def _tags(model: type[BaseModel], location: tuple[str | int, ...], key: str) -> list[str]:
    """What may stand under the key that tells the parts of a union apart."""
    return [tag for part in _parts(model, location) for tag in get_args(part.model_fields[key].annotation)]


def _place(location: tuple[str | int, ...], data: Any, missing: bool) -> Place:
    """Pydantic's location without the tags of unions, which do not stand in the file."""
    place: list[str | int] = []
    tagged = None  # the part of the data whose tag is passed already
    for number, part in enumerate(location):
        if isinstance(data, dict) and data is not tagged and part in [data.get(k) for k in DISCRIMINATORS]:
            tagged = data
            continue
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int)):
            data = data[part]
            place.append(part)
        elif missing and number == len(location) - 1:
            place.append(part)
    return tuple(place)


def _known(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at a location has, and those that only a file has: of grids, and defaults."""
    part = _parts(model, location[:-1])[0]
    in_file = axes(part) if issubclass(part, InGrids) else () if location[:-1] else (DEFAULTS,)
    return [*part.model_fields, *in_file]


def _parts(model: type[BaseModel], location: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The model at a location, or those of the union there."""
    candidates: list[type[BaseModel]] = []
    for part in location:
        if part in model.model_fields and not candidates:
            candidates = models_in(model.model_fields[part].annotation)
        if len(candidates) > 1 and isinstance(part, str):
            candidates = [
                c for c in candidates if any(part in get_args(f.annotation) for f in _fields(c))
            ] or (candidates)
        if len(candidates) == 1:
            model, candidates = candidates[0], []
    return candidates or [model]


def _fields(model: type[BaseModel]) -> Iterator[Any]:
    yield from model.model_fields.values()


def _sentences(file: Path, document: Document, problems: list[Problem], subject: str) -> Iterator[str]:
    count = len(problems)
    yield f"{file} has {count} problem{'s' if count > 1 else ''}:"
    for problem in sorted(problems, key=lambda p: (document.line(p.place), printed(p.place), p.message)):
        where = printed(problem.place) or subject
        yield f"  {file}:{document.line(problem.place)}: {where}: {problem.message}"
