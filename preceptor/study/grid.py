"""Grids: an entry of `recipes` or `runs` that stands for one entry per combination of its lists.

`{bases: all, recipes: [a, b], tunings: [full], seeds: [0, 1]}` is a grid of runs, `{kind: teacher, teachers:
all}` is a grid of recipes. Names come from a template, so that a longer list adds entries but renames none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from string import Formatter
from typing import Any

from preceptor.study.document import Place, Problem, unknown
from preceptor.study.fields import InGrids, checked_name
from preceptor.study.sections import axes

MOST = 10_000  # entries of one grid; Dagster is not usable with more partitions
NAMES = "must be 'all' or a list of names"
NUMBERS = "must be a list of whole numbers, such as [0, 1, 2]"


@dataclass(frozen=True)
class Known:
    """The names that a grid may list: of each section, and the one-teacher recipes of each teacher.

    Not all names of the `incomplete` sections are known.
    """

    names: Mapping[str, Sequence[str]]
    recipes_of: Mapping[str, Sequence[str]]
    incomplete: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Choice:
    """A value of an axis: its field, the words for the name's template, and its place."""

    field: str
    value: Any
    words: Mapping[str, str]
    place: Place


@dataclass(frozen=True)
class Cell:
    """One entry of a grid, and the place in the grid of each of its fields."""

    entry: dict[str, Any]
    places: dict[str, Place]


def is_grid(entry: Mapping[str, Any], model: type[InGrids]) -> bool:
    """Whether an entry has a key that lists values, so that it is a grid."""
    return not axes(model).keys().isdisjoint(entry)


def expand_grid(
    entry: Mapping[str, Any], model: type[InGrids], known: Known, problems: list[Problem]
) -> list[Cell]:
    """The entries of a grid in the order of its lists; the last axis varies fastest.

    An invalid grid gives no entries, and adds its problems to `problems`, at places within the grid.
    """
    listed = {key: field for key, field in axes(model).items() if key in entry}
    keys = [*model.model_fields, *axes(model)]
    found = [Problem((key,), unknown(key, keys)) for key in entry if key not in keys]
    found += _set_twice(entry, listed)
    choices = [list(_choices(entry, key, field, known, found)) for key, field in listed.items()]
    size = prod(map(len, choices))
    if size > MOST:
        found.append(Problem((), f"the grid has {size:,} entries, but at most {MOST:,} are possible"))
    cells = [] if found else list(_cells(entry, model, listed, choices, found))
    problems += found
    return [] if found else cells


def _set_twice(entry: Mapping[str, Any], listed: Mapping[str, str]) -> Iterator[Problem]:
    for key, field in listed.items():
        others = [other for other in listed if other != key and listed[other] == field]
        for other in [*others, *([field] if field in entry else [])]:
            yield Problem((key,), f"{key!r} and {other!r} set the same field: keep one of them")


def _choices(
    entry: Mapping[str, Any], key: str, field: str, known: Known, problems: list[Problem]
) -> Iterator[Choice]:
    """The values of an axis."""
    value = entry[key]
    if key != "seeds" and value == "all":
        places: list[tuple[Place, Any]] = [((key,), name) for name in known.names.get(key, ())]
        if key not in known.names:
            problems.append(Problem((key,), f"'all' is invalid: the study has no {key}"))
    elif isinstance(value, list) and value:
        places = [((key, index), item) for index, item in enumerate(value)]
    else:
        fault = "is empty" if value in (None, []) else f"{value!r} is invalid"
        problems.append(Problem((key,), f"{fault}: {NUMBERS if key == 'seeds' else NAMES}"))
        return
    if key == "teachers" and field == "recipe" and value == "all" and places and not known.recipes_of:
        problems.append(Problem((key,), "'all' is invalid: the study has no recipes of kind 'teacher'"))
    for item, count in Counter(str(item) for _, item in places).items():
        if count > 1 and value != "all":
            problems.append(Problem((key,), f"{item!r} is listed {count} times"))
    for place, item in places:
        if not isinstance(item, str | int):
            problems.append(Problem(place, f"{item!r} is invalid: {NUMBERS if key == 'seeds' else NAMES}"))
        elif key == "teachers" and field == "recipe":
            yield from _one_teacher_recipes(item, place, value == "all", known, problems)
        else:
            yield Choice(field, item, {field: str(item)}, place)


def _one_teacher_recipes(
    teacher: Any, place: Place, every: bool, known: Known, problems: list[Problem]
) -> Iterator[Choice]:
    """The recipes of one teacher's rows alone. With `every`, a teacher without one is skipped."""
    recipes = known.recipes_of.get(teacher, ())
    if not recipes and not every and known.incomplete.isdisjoint(("teachers", "recipes")):
        problems.append(Problem(place, f"{teacher!r} has no recipe of kind 'teacher'"))
    for recipe in recipes:
        yield Choice("recipe", recipe, {"recipe": recipe, "teacher": teacher}, place)


def _cells(
    entry: Mapping[str, Any],
    model: type[InGrids],
    listed: Mapping[str, str],
    choices: list[list[Choice]],
    problems: list[Problem],
) -> Iterator[Cell]:
    """One entry per combination, named by the template. The first invalid name adds a problem."""
    fixed = {key: value for key, value in entry.items() if key not in listed and key != "name"}
    defaults = {name: field.default for name, field in model.model_fields.items()}
    constant = {k: str(v) for k, v in {**defaults, **fixed}.items() if isinstance(v, str | int)}
    template = entry.get("name", model.GRID_NAME)
    seen: dict[str, Mapping[str, str]] = {}
    for chosen in product(*choices):
        varied = {word: text for choice in chosen for word, text in choice.words.items()}
        try:
            name = _filled(template, constant | varied, model)
            _refuse_repeated(name, varied, seen.setdefault(name.lower(), varied), template)
        except ValueError as error:
            problems.append(Problem(("name",), str(error)))
            return
        values = {choice.field: choice.value for choice in chosen}
        yield Cell({"name": name, **fixed, **values}, {choice.field: choice.place for choice in chosen})


def _filled(template: Any, words: Mapping[str, str], model: type[InGrids]) -> str:
    """The template with the words filled in. Raises ValueError for an invalid template or name."""
    if not isinstance(template, str):
        raise ValueError(f"must be a template in quotes, such as '{model.GRID_NAME}'")
    name = ""
    for text, word, style, conversion in Formatter().parse(template):
        name += text
        if word is None:
            continue
        key = next((key for key, field in axes(model).items() if field == word), None)
        if word not in words and key is not None:
            raise ValueError(f"template {template!r} needs {key!r}: set it to 'all' or a list")
        if word not in words or style or conversion:
            known = ", ".join(f"{{{word}}}" for word in words)
            raise ValueError(f"template {template!r} is invalid: {{{word}}} is not one of {known}")
        name += words[word]
    try:
        return checked_name(name)
    except ValueError as error:
        raise ValueError(f"template {template!r} gives the name {name!r}: {error}") from error


def _refuse_repeated(name: str, words: Mapping[str, str], first: Mapping[str, str], template: str) -> None:
    """Raises ValueError if an earlier combination has the same name; case does not matter."""
    if words is first:
        return
    differ = [word for word in words if words[word] != first.get(word)]
    one, other = (" and ".join(f"{word} {part.get(word)}" for word in differ) for part in (first, words))
    missing = [f"{{{word}}}" for word in differ if f"{{{word}}}" not in template]
    fix = (
        f"add {' and '.join(missing)}" if missing else "separate its words by another character, such as '+'"
    )
    raise ValueError(f"template {template!r} gives {one} and {other} the same name, {name!r}: {fix}")
