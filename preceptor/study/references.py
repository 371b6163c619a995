"""Checks across several parts of a study, such as repeated and unknown names."""

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
    """Yield (place, message) for each problem in a document of the model `study`, which may be invalid.

    These problems are reported together with those of the schema, so a name that is not text is skipped here.
    Names of the `incomplete` sections are not checked. `shown` formats a place for people.
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
    """The mappings of a section, each with its model."""
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
    """Names (one name, a list, or the keys of a mapping) that the study does not declare."""
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
        # Names that differ only in case would share a folder on some file systems.
        before = first.setdefault(name.lower(), (*place, index))
        if before != (*place, index):
            yield (*place, index, "name"), f"{name!r} repeats the name of {shown(before)}"


def _no_reward_model(document: dict[str, Any]) -> Iterator[Found]:
    car = document.get("car")
    given = isinstance(car, dict) and "reward_model" in car
    if not given and isinstance(car, dict | None) and len(_items(document.get("reward_models"))) > 1:
        yield ("car",), "the study has several reward models: set 'car.reward_model' to the one that gives r"


def _unmeasured(document: dict[str, Any]) -> Iterator[Found]:
    """Recipes by a column without values: no base is set, or the base does not measure the losses."""
    bases = entries_in(document.get("bases"))
    without = {base.get("name") for base in bases if base.get("unconditional") in OFF}
    for index, recipe in _items(document.get("recipes")):
        name = recipe.get("column")
        column = row_columns().get(name) if isinstance(name, str) else None
        if column is None:
            continue
        if column.needs_losses and "base" not in recipe:
            yield ("recipes", index), f"column {name!r} depends on the base: set 'base'"
        if column.needs_unconditional and recipe.get("base") in without:
            yield (
                ("recipes", index, "column"),
                f"{name!r} needs losses that base {recipe['base']!r} does not measure: remove"
                " 'unconditional: false' from that base",
            )


def _averages(document: dict[str, Any]) -> Iterator[Found]:
    """Averages of metrics that are not shares, and averages with the name of an evaluation."""
    evaluations = entries_in(document.get("evaluations"))
    kinds = {item["name"]: item.get("kind") for item in evaluations if isinstance(item.get("name"), str)}
    for index, average in _items(document.get("averages")):
        if isinstance(average.get("name"), str) and average["name"] in kinds:
            yield (
                ("averages", index, "name"),
                f"{average['name']!r} is already the name of an evaluation: choose another name",
            )
        parts = average.get("of")
        for number, part in enumerate(parts if isinstance(parts, list) else []):
            facts = EVALUATIONS.get(str(kinds.get(part))) if isinstance(part, str) else None
            if facts is not None and not facts.is_share:
                yield (
                    ("averages", index, "of", number),
                    f"{part!r} ({kinds[part]}) is not a share: an average takes only metrics from 0 to 1",
                )


def _untuned(document: dict[str, Any]) -> Iterator[Found]:
    """Runs with the reserved name of an untuned base; case does not matter, as for repeated names."""
    reserved = {untuned_name(base).lower(): base for base in entry_names(document.get("bases"))}
    for index, run in _items(document.get("runs")):
        name = run.get("name")
        if isinstance(name, str) and name.lower() in reserved:
            yield (
                ("runs", index, "name"),
                f"{name!r} is reserved for the untuned base {reserved[name.lower()]!r}: choose another name",
            )


def _items(value: Any) -> Items:
    return [(i, v) for i, v in enumerate(value) if isinstance(v, dict)] if isinstance(value, list) else []
