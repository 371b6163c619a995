"""Fills in defaults and expands grids in a study's document, and records the origin of each part.

Later steps see plain entries only: the schema, the checks of names, and the study itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel

from preceptor.study.document import A_MAPPING, Place, Problem, printed, unknown
from preceptor.study.fields import InGrids
from preceptor.study.grid import Cell, Known, expand_grid, is_grid
from preceptor.study.recipes import OneTeacher
from preceptor.study.sections import DEFAULTS, axes, entries_in, entry_names, kind_of, sections

Entry = dict[str, Any]


@dataclass
class PlainStudy:
    """Plain data, the `origins` in the file of parts that moved, and the problems found.

    Not all names of the `incomplete` sections are known.
    """

    data: dict[str, Any]
    origins: dict[Place, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)

    def origin(self, place: Place) -> Place:
        """The place in the file of a place in the plain data."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]] + place[length:]
        return place

    def located(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """The problems at their places in the file. A problem of many grid entries appears once."""
        seen = set()
        for problem in problems:
            place = self.origin(problem.place)
            if (place, problem.message) in seen:
                continue
            seen.add((place, problem.message))
            entry = f" (in {printed(self.origin(problem.place[:2]))})" if place[0:1] == (DEFAULTS,) else ""
            yield Problem(place, problem.message + entry)


def plain_study(
    study: type[BaseModel], document: dict[str, Any], teachers: Sequence[str], incomplete: Iterable[str]
) -> PlainStudy:
    """The document of a study without defaults and grids.

    `teachers` has the names of teachers in teacher files. Not all names of the `incomplete` sections are
    known.
    """
    plain = PlainStudy({k: v for k, v in document.items() if k != DEFAULTS}, incomplete=set(incomplete))
    defaults = _defaults(study, document, plain.problems)
    for section, kinds in sections(study).items():
        value = plain.data.get(section)
        if isinstance(value, list):
            items = [((section, index), item) for index, item in enumerate(value)]
            _expand(plain, section, items, kinds, defaults.get(section, {}), teachers)
        elif isinstance(value, dict) and _grid_model(value, kinds) is not None:
            _expand(plain, section, [((section,), value)], kinds, defaults.get(section, {}), teachers)
    return plain


def _defaults(study: type[BaseModel], document: Entry, problems: list[Problem]) -> dict[str, Entry]:
    """The defaults of each section, without keys that no entry of the section has."""
    given, known = document.get(DEFAULTS, {}), sections(study)
    if not isinstance(given, dict):
        sample = ", ".join([*known][:4])
        problems.append(Problem((DEFAULTS,), f"must be a mapping with sections such as {sample}"))
        return {}
    found: dict[str, Entry] = {}
    for section, values in given.items():
        place = (DEFAULTS, section)
        if section not in known:
            problems.append(Problem(place, unknown(section, known, "section")))
        elif not isinstance(values, dict):
            problems.append(Problem(place, A_MAPPING))
        else:
            keys = dict.fromkeys(key for kind in known[section] for key in kind.model_fields if key != "name")
            wrong = [key for key in values if key not in keys]
            problems += [Problem((*place, key), unknown(key, keys)) for key in wrong]
            found[section] = {key: value for key, value in values.items() if key in keys}
    return found


def _expand(
    plain: PlainStudy,
    section: str,
    items: Iterable[tuple[Place, Any]],
    kinds: Sequence[type[BaseModel]],
    defaults: Entry,
    teachers: Sequence[str],
) -> None:
    """Replace a section's items with plain entries."""
    entries: list[Any] = []
    for place, item in items:
        entry = _filled(item, defaults, kinds) if isinstance(item, dict) else item
        model = _grid_model(entry, kinds) if isinstance(item, dict) else None
        cells, problems = [Cell(entry, {})], list[Problem]()
        if model is not None:
            cells = expand_grid(entry, model, _known(plain, teachers), problems)
        for cell in cells:
            new = (section, len(entries))
            own = {*item, *cell.places} if isinstance(item, dict) else set()
            plain.origins[new] = place
            plain.origins |= {(*new, key): (DEFAULTS, section, key) for key in defaults if key not in own}
            plain.origins |= {(*new, key): (*place, *within) for key, within in cell.places.items()}
            entries.append(cell.entry)
        for problem in problems:
            shared = problem.place[:1] != () and problem.place[0] in defaults and problem.place[0] not in item
            where = (DEFAULTS, section) if shared else place
            plain.problems.append(Problem((*where, *problem.place), problem.message))
        plain.incomplete |= {section} if problems else set()
    plain.data[section] = entries


def _filled(item: Entry, defaults: Entry, kinds: Sequence[type[BaseModel]]) -> Entry:
    """The entry with defaults for missing keys. A key also counts as present if a grid lists its values."""
    entry = {**defaults, **item}
    kind = kind_of(entry, kinds)
    listed = {field for key, field in axes(kind).items() if key in item} if kind is not None else set()
    return {key: value for key, value in entry.items() if key in item or key not in listed}


def _grid_model(entry: Entry, kinds: Sequence[type[BaseModel]]) -> type[InGrids] | None:
    """The model of a grid's entries; None for a plain entry."""
    kind = kind_of(entry, kinds)
    return kind if kind is not None and issubclass(kind, InGrids) and is_grid(entry, kind) else None


def _known(plain: PlainStudy, teachers: Sequence[str]) -> Known:
    """The names that a grid may list, from the sections expanded so far."""
    names = {key: entry_names(value) for key, value in plain.data.items()}
    names["teachers"] = [*names.get("teachers", []), *teachers]
    recipes_of: dict[str, list[str]] = {}
    for recipe in entries_in(plain.data.get("recipes")):
        teacher, name = recipe.get("teacher"), recipe.get("name")
        alone = recipe.get("kind") in get_args(OneTeacher.model_fields["kind"].annotation)
        if alone and isinstance(teacher, str) and isinstance(name, str):
            recipes_of.setdefault(teacher, []).append(name)
    return Known(names, recipes_of, frozenset(plain.incomplete))
