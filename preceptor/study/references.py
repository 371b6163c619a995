"""Checks that span several parts of a study: repeated names, and names that nothing declares."""

from collections.abc import Iterator
from typing import Any

LISTS = ("teachers", "bases", "reward_models", "recipes", "runs", "evaluations")
REFERENCES = (
    ("recipes", "base", "bases"),
    ("recipes", "teacher", "teachers"),
    ("recipes", "teachers", "teachers"),
    ("runs", "base", "bases"),
    ("runs", "recipe", "recipes"),
)
LOSS_COLUMNS = ("mean_nll", "perplexity", "ifd", "rank_surprisal_ratio")
Found = tuple[tuple[str | int, ...], str]


def reference_problems(document: dict[str, Any]) -> Iterator[Found]:
    """Yield (place, message) on the raw document, so that they show beside all other problems."""
    for key in LISTS:
        yield from _repeated_names(_items(document.get(key)), (key,))
    instructions = document.get("instructions")
    if isinstance(instructions, dict):
        yield from _repeated_names(_items(instructions.get("sources")), ("instructions", "sources"))
    for key, field, target in REFERENCES:
        for index, item in _items(document.get(key)):
            yield from _unknown(document, item.get(field), target, (key, index, field))
    yield from _reward_models(document)
    for index, recipe in _items(document.get("recipes")):
        if recipe.get("column") in LOSS_COLUMNS and not recipe.get("base"):
            yield ("recipes", index), f"column {recipe['column']} needs 'base': it differs between bases"


def _items(value: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(i, v) for i, v in enumerate(value) if isinstance(v, dict)] if isinstance(value, list) else []


def _names(document: dict[str, Any], key: str) -> list[str]:
    return [str(item.get("name")) for _, item in _items(document.get(key))]


def _repeated_names(items: list[tuple[int, dict[str, Any]]], place: tuple[str | int, ...]) -> Iterator[Found]:
    first: dict[str, int] = {}
    for index, item in items:
        # Two names that differ in case only would share a folder on some file systems.
        name = str(item.get("name")).lower()
        if "name" in item and name in first:
            other = f"{place[-1]}[{first[name]}]"
            yield (*place, index, "name"), f"{item['name']!r} repeats the name of {other}"
        first.setdefault(name, index)


def _unknown(
    document: dict[str, Any], value: Any, target: str, place: tuple[str | int, ...]
) -> Iterator[Found]:
    known = _names(document, target)
    for name in value if isinstance(value, list) else [value] if value is not None else []:
        if str(name) not in known:
            yield (
                place,
                f"{name!r} is not among the study's {target} ({', '.join(known) or 'there are none'})",
            )


def _reward_models(document: dict[str, Any]) -> Iterator[Found]:
    car = document.get("car")
    chosen = car.get("reward_model") if isinstance(car, dict) else None
    yield from _unknown(document, chosen, "reward_models", ("car", "reward_model"))
    if chosen is None and len(_names(document, "reward_models")) > 1:
        yield ("car",), "with several reward models 'car.reward_model' must say which one gives r"
    for index, item in _items(document.get("reward_models")):
        mapping = item.get("teachers")
        for teacher in mapping if isinstance(mapping, dict) else ():
            yield from _unknown(document, teacher, "teachers", ("reward_models", index, "teachers"))
