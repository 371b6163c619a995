"""Checks that span several parts of a study: repeated names, and names that nothing declares."""

from collections.abc import Iterator
from typing import Any

from preceptor.study.evaluation import EVALUATIONS
from preceptor.study.recipes import INSTRUCTION_DIFFICULTIES
from preceptor.study.untuned import untuned_name

LISTS = ("teachers", "bases", "reward_models", "recipes", "tunings", "runs", "evaluations", "averages")
REFERENCES = (
    ("recipes", "base", "bases"),
    ("recipes", "teacher", "teachers"),
    ("recipes", "teachers", "teachers"),
    ("reward_models", "teachers", "teachers"),
    ("runs", "base", "bases"),
    ("runs", "recipe", "recipes"),
    ("runs", "tuning", "tunings"),
    ("averages", "of", "evaluations"),
)
OFF = ("false", "off", "no", "f", "n", "0")  # YAML's words are text here
LOSS_COLUMNS = (
    "mean_nll",
    "perplexity",
    *INSTRUCTION_DIFFICULTIES,
    "rank_surprisal_ratio",
    "response_tokens",
)
Place = tuple[str | int, ...]
Found = tuple[Place, str]


def reference_problems(document: dict[str, Any], all_teachers: bool = True) -> Iterator[Found]:
    """Yield (place, message) on the raw document, so that they show beside all other problems.

    Whatever is not text where a name belongs is left to the schema. Where not all teachers are known, no
    name of one is doubted.
    """
    for key in LISTS:
        yield from _repeated_names(_items(document.get(key)), (key,))
    instructions = document.get("instructions")
    if isinstance(instructions, dict):
        yield from _repeated_names(_items(instructions.get("sources")), ("instructions", "sources"))
    for key, field, target in REFERENCES:
        if target == "teachers" and not all_teachers:
            continue
        for index, item in _items(document.get(key)):
            yield from _unknown(document, item.get(field), target, (key, index, field))
    yield from _reward_model(document)
    for index, recipe in _items(document.get("recipes")):
        if recipe.get("column") in LOSS_COLUMNS and "base" not in recipe:
            yield (
                ("recipes", index),
                f"column {recipe['column']!r} differs between bases: 'base' must name one",
            )
    yield from _unmeasured(document)
    yield from _unlike(document)
    yield from _untuned(document)


def _untuned(document: dict[str, Any]) -> Iterator[Found]:
    """Runs under the name of an untuned base, also in other case, as for repeated names."""
    reserved = {untuned_name(base).lower(): base for base in _names(document, "bases")}
    for index, run in _items(document.get("runs")):
        name = run.get("name")
        if isinstance(name, str) and name.lower() in reserved:
            yield (
                ("runs", index, "name"),
                f"{name!r} is the name under which base {reserved[name.lower()]!r} is evaluated untuned: take"
                " another",
            )


def _unlike(document: dict[str, Any]) -> Iterator[Found]:
    """Averages of what is no share, and averages under a benchmark's name."""
    evaluations = [item for _, item in _items(document.get("evaluations"))]
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


def _unmeasured(document: dict[str, Any]) -> Iterator[Found]:
    spared = {
        base.get("name")
        for _, base in _items(document.get("bases"))
        if base.get("unconditional") in (False, *OFF)
    }
    for index, recipe in _items(document.get("recipes")):
        if recipe.get("column") in INSTRUCTION_DIFFICULTIES and recipe.get("base") in spared:
            yield (
                ("recipes", index, "column"),
                f"{recipe['column']!r} needs the losses that base {recipe['base']!r} leaves out by"
                " 'unconditional: false'",
            )


def _items(value: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(i, v) for i, v in enumerate(value) if isinstance(v, dict)] if isinstance(value, list) else []


def _names(document: dict[str, Any], key: str) -> list[str]:
    return [item["name"] for _, item in _items(document.get(key)) if isinstance(item.get("name"), str)]


def _repeated_names(items: list[tuple[int, dict[str, Any]]], place: Place) -> Iterator[Found]:
    first: dict[str, int] = {}
    for index, item in items:
        name = item.get("name")
        if not isinstance(name, str):
            continue
        # Two names that differ in case only would share a folder on some file systems.
        if name.lower() in first:
            yield (*place, index, "name"), f"{name!r} repeats the name of {place[-1]}[{first[name.lower()]}]"
        first.setdefault(name.lower(), index)


def _unknown(document: dict[str, Any], value: Any, target: str, place: Place) -> Iterator[Found]:
    """Names at a place (one, a list of them, or the keys of a mapping) that no part of the study has."""
    named: list[tuple[Place, Any]] = [(place, value)]
    if isinstance(value, list):
        named = [((*place, index), item) for index, item in enumerate(value)]
    elif isinstance(value, dict):
        named = [((*place, key), key) for key in value]
    known = _names(document, target)
    listed = ", ".join(name if name.isprintable() else repr(name) for name in known)
    for where, name in named:
        if isinstance(name, str) and name not in known:
            yield (
                where,
                f"{name!r} is not among the study's {target} ({listed or 'there are none'})",
            )


def _reward_model(document: dict[str, Any]) -> Iterator[Found]:
    car = document.get("car")
    if isinstance(car, dict) and "reward_model" in car:
        yield from _unknown(document, car["reward_model"], "reward_models", ("car", "reward_model"))
    elif (car is None or isinstance(car, dict)) and len(_items(document.get("reward_models"))) > 1:
        yield ("car",), "with several reward models 'car.reward_model' must say which one gives r"
