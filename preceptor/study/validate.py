"""Validates a document against the schema, and reports pydantic's errors with their places in the file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from preceptor.study.document import A_MAPPING, Document, Place, Problem, StudyError, printed, unknown
from preceptor.study.endpoint import MAY_BE_SECRET
from preceptor.study.fields import InGrids
from preceptor.study.sections import DEFAULTS, DISCRIMINATORS, axes, models_in

SHOWN = 200  # characters of an invalid value
A_LIST = "must be a list: one entry per line, each after '- '"
Part = TypeVar("Part", bound=BaseModel)


def validated(model: type[Part], data: Any, folder: Path) -> tuple[Part | None, list[Problem]]:
    """The part made from the data, or None and the problems. Relative paths start from `folder`."""
    try:
        return model.model_validate(data, context={"folder": folder}), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [_problem(model, detail, data) for detail in details if _counts(detail)]


def besides(problems: Iterable[Problem], broken: Iterable[Problem]) -> list[Problem]:
    """The problems, without those at a place that already has a problem in `broken`."""
    known = {problem.place for problem in broken}
    return [p for p in problems if not any(place[: len(p.place)] == p.place for place in known)]


def refuse(file: Path, document: Document, problems: Iterable[Problem], subject: str = "study") -> None:
    """Raise StudyError if there are problems, with one line each: file, line, path, and what to do."""
    listed = list(dict.fromkeys(problems))
    if listed:
        text = "\n".join(_sentences(file, document, listed, subject))
        raise StudyError(text.encode(errors="backslashreplace").decode())


def _counts(detail: ErrorDetails) -> bool:
    """Whether to report an error. pydantic also calls a list too short if its items are invalid."""
    return detail["type"] != "too_short" or not detail["input"]


def _problem(model: type[BaseModel], detail: ErrorDetails, data: Any) -> Problem:
    """One of pydantic's errors, reworded, at its place in the file."""
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
        return Problem(place, f"{context['tag']!r} is invalid: must be one of {context['expected_tags']}")
    if kind == "extra_forbidden":
        return Problem(place, unknown(str(place[-1]), _known(model, detail["loc"])))
    message = _message(detail, _parts(model, detail["loc"])[0])
    if kind == MAY_BE_SECRET or (kind == "value_error" and isinstance(detail["input"], dict)):
        return Problem(place, message)
    if detail["input"] is None:
        return Problem(place, f"is empty: {message}")
    value = repr(detail["input"])
    value = value if len(value) <= SHOWN else value[:SHOWN] + "…"
    return Problem(place, f"{value} is invalid: {message}")


def _message(detail: ErrorDetails, part: type[BaseModel]) -> str:
    """pydantic's message, reworded; `part` is the model that is expected there."""
    match detail["type"]:
        case "tuple_type":
            return A_LIST
        case "too_short":
            return f"needs at least {detail['ctx']['min_length']}"
        case "model_type" | "model_attributes_type":
            keys = sorted(part.model_fields, key=lambda name: not part.model_fields[name].is_required())
            return f"must be a mapping with keys such as {', '.join(keys[:4])}"
        case "dict_type":
            return A_MAPPING
        case "literal_error":
            return f"must be {detail['ctx']['expected']}"
        case "string_type":
            return "must be text (put it in quotes)"
    return detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _tags(model: type[BaseModel], location: tuple[str | int, ...], key: str) -> list[str]:
    """The allowed values of the key that chooses a model of a union."""
    return [tag for part in _parts(model, location) for tag in get_args(part.model_fields[key].annotation)]


def _place(location: tuple[str | int, ...], data: Any, missing: bool) -> Place:
    """pydantic's location without the tags of unions, which are not in the file."""
    place: list[str | int] = []
    tagged = None  # the part of the data whose tag was already skipped
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
    """The keys that a file may have at a location: the model's fields, keys of grids, and `defaults`."""
    part = _parts(model, location[:-1])[0]
    in_file = axes(part) if issubclass(part, InGrids) else () if location[:-1] else (DEFAULTS,)
    return [*part.model_fields, *in_file]


def _parts(model: type[BaseModel], location: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The model at a location, or the models of the union there."""
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
