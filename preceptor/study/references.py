"""Checks that span several parts of a study: repeated names, and names that nothing declares."""

from collections.abc import Callable, Iterator, Set
from typing import Any

from pydantic import BaseModel

from preceptor.study.document import Place, printed
from preceptor.study.evaluation import EVALUATIONS
from preceptor.study.sections import entries_in, entry_names, kind_of, models_in, references
from preceptor.study.untuned import untuned_name
from preceptor.suitability.metrics import row_columns

OFF = (False, "false", "off", "no", "f", "n", "0")  # YAML's words are text here
Found = tuple[Place, str]
Items = list[tuple[int, dict[str, Any]]]


def reference_problems(
    study: type[BaseModel],
    document: dict[str, Any],
    incomplete: Set[str] = frozenset(),
    shown: Callable[[Place], str] = printed,
) -> Iterator[Found]:
    """Yield (place, message) for a document of the model `study`, valid or not.

    They show beside all other problems, so whatever is not text where a name belongs is left to the schema.
    Names of the `incomplete` sections are not doubted. `shown` prints a place for people.
    """
    names = {section: dict.fromkeys(entry_names(document.get(section))) for section in document}
    for section, field in study.model_fields.items():
        kinds = models_in(field.annotation)
        for place, item, kind in _parts(document.get(section), (section,), kinds):
            yield from _unknown_names(item, place, kind, names, incomplete)
        yield from _repeated_names(_items(document.get(section)), (section,), shown)
    instructions = document.get("instructions")
    if isinstance(instructions, dict):
        yield from _repeated_names(_items(instructions.get("sources")), ("instructions", "sources"), shown)
    yield from _no_reward_model(document)
    yield from _unmeasured(document)
    yield from _averages(document)
    yield from _untuned(document)


def _parts(
    value: Any, place: Place, kinds: list[type[BaseModel]]
) -> Iterator[tuple[Place, dict[str, Any], type[BaseModel]]]:
    """The mappings of a section, each with the model that it belongs to."""
    items = [(place, value)] if isinstance(value, dict) else [((*place, i), v) for i, v in _items(value)]
    for where, item in items:
        kind = kind_of(item, kinds)
        if kind is not None:
            yield where, item, kind


def _unknown_names(
    item: dict[str, Any],
    place: Place,
    kind: type[BaseModel],
    names: dict[str, dict[str, None]],
    incomplete: Set[str],
) -> Iterator[Found]:
    """Names (one, a list of them, or the keys of a mapping) that no part of the study has."""
    for field, section in references(kind).items():
        value, known = item.get(field), names.get(section, {})
        named: list[tuple[Place, Any]] = [((*place, field), value)]
        if isinstance(value, list):
            named = [((*place, field, index), part) for index, part in enumerate(value)]
        elif isinstance(value, dict):
            named = [((*place, field, key), key) for key in value]
        for where, name in named:
            if isinstance(name, str) and name not in known and section not in incomplete:
                listed = ", ".join(name if name.isprintable() else repr(name) for name in known)
                yield where, f"{name!r} is not among the study's {section} ({listed or 'there are none'})"


def _repeated_names(items: Items, place: Place, shown: Callable[[Place], str]) -> Iterator[Found]:
    first: dict[str, Place] = {}
    for index, item in items:
        name = item.get("name")
        if not isinstance(name, str):
            continue
        # Two names that differ in case only would share a folder on some file systems.
        before = first.setdefault(name.lower(), (*place, index))
        if before != (*place, index):
            yield (*place, index, "name"), f"{name!r} repeats the name of {shown(before)}"


def _no_reward_model(document: dict[str, Any]) -> Iterator[Found]:
    car = document.get("car")
    said = isinstance(car, dict) and "reward_model" in car
    if not said and isinstance(car, dict | None) and len(_items(document.get("reward_models"))) > 1:
        yield ("car",), "with several reward models 'car.reward_model' must say which one gives r"


def _unmeasured(document: dict[str, Any]) -> Iterator[Found]:
    """Recipes by a column that has no values, since no base is named or the base leaves out the losses."""
    bases = entries_in(document.get("bases"))
    without = {base.get("name") for base in bases if base.get("unconditional") in OFF}
    for index, recipe in _items(document.get("recipes")):
        name = recipe.get("column")
        column = row_columns().get(name) if isinstance(name, str) else None
        if column is None:
            continue
        if column.needs_losses and "base" not in recipe:
            yield ("recipes", index), f"column {name!r} differs between bases: 'base' must name one"
        if column.needs_unconditional and recipe.get("base") in without:
            yield (
                ("recipes", index, "column"),
                f"{name!r} needs the losses that base {recipe['base']!r} leaves out by"
                " 'unconditional: false'",
            )


def _averages(document: dict[str, Any]) -> Iterator[Found]:
    """Averages of what is no share, and averages under a benchmark's name."""
    evaluations = entries_in(document.get("evaluations"))
    kinds = {item["name"]: item.get("kind") for item in evaluations if isinstance(item.get("name"), str)}
    for index, average in _items(document.get("averages")):
        if isinstance(average.get("name"), str) and average["name"] in kinds:
            yield ("averages", index, "name"), f"{average['name']!r} is an evaluation's name: take another"
        parts = average.get("of")
        for number, part in enumerate(parts if isinstance(parts, list) else []):
            facts = EVALUATIONS.get(str(kinds.get(part))) if isinstance(part, str) else None
            if facts is not None and not facts.is_share:
                yield (
                    ("averages", index, "of", number),
                    f"{part!r} is no share ({kinds[part]}): only shares can be averaged with shares",
                )


def _untuned(document: dict[str, Any]) -> Iterator[Found]:
    """Runs under the name of an untuned base, also in other case, as for repeated names."""
    reserved = {untuned_name(base).lower(): base for base in entry_names(document.get("bases"))}
    for index, run in _items(document.get("runs")):
        name = run.get("name")
        if isinstance(name, str) and name.lower() in reserved:
            yield (
                ("runs", index, "name"),
                f"{name!r} is the name under which base {reserved[name.lower()]!r} is evaluated untuned: take"
                " another",
            )


def _items(value: Any) -> Items:
    return [(i, v) for i, v in enumerate(value) if isinstance(v, dict)] if isinstance(value, list) else []
