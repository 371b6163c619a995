"""Converts lm-eval's log of a run to one result for each item, with the metrics of all filters."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from preceptor.evaluation.lm_eval.presets import Preset
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.text import digest, repair

Logged = dict[str, Any]


@dataclass(frozen=True)
class ItemResult:
    """One item: its prompt, response and measures, with the main measure as `outcome`, or an `error`.

    A multiple-choice item's response and target are texts of its `choices`. `item_id` hashes the task's name
    and the item's row, so it does not depend on the model, shots or template.
    """

    item_id: str
    task: str
    prompt: tuple[str, ...]
    response: str
    target: str
    measures: dict[str, float]
    outcome: float | None
    error: str | None = None
    choices: tuple[str, ...] = ()


def item_ids(task: str, rows: Iterable[Any]) -> list[str]:
    """The items' ids, in order. A row that occurs twice makes two items."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        text = json.dumps(row, sort_keys=True, default=str)
        found.append(digest(task, text, str(seen[text])))
        seen[text] += 1
    return found


def item_results(preset: Preset, samples: Mapping[str, Iterable[Logged]]) -> list[ItemResult]:
    """An ItemResult for every item that lm-eval logged.

    Raises BenchmarkError if an item lacks the preset's main measure.
    """
    results = []
    for task, logged in samples.items():
        items = _by_item(logged)
        ids = item_ids(task, (entries[0]["doc"] for entries in items))
        results += [_result(preset, task, *pair) for pair in zip(ids, items, strict=True)]
    return results


def _by_item(logged: Iterable[Logged]) -> list[list[Logged]]:
    """Group the log by item, because lm-eval logs an item once for every filter."""
    items: defaultdict[int, list[Logged]] = defaultdict(list)
    for entry in logged:
        items[entry["doc_id"]].append(entry)
    return list(items.values())


def _result(preset: Preset, task: str, item_id: str, entries: list[Logged]) -> ItemResult:
    first = entries[0]
    measures = {name: value for entry in entries for name, value in _measures(entry).items()}
    if preset.main_measure not in measures:
        raise BenchmarkError(
            f"benchmark {preset.name!r}: task {task!r} has no measure {preset.main_measure!r}: use one of"
            f" its measures ({', '.join(sorted(measures)) or 'none is a number for each item'})"
        )
    outcome = measures[preset.main_measure]
    is_share = 0 <= outcome <= 1  # false for NaN
    return ItemResult(
        item_id,
        task,
        (repair(first["arguments"][0][0]),),
        repair(_response(first)),
        repair(_target(first)),
        measures,
        outcome if is_share else None,
        None if is_share else f"measure {preset.main_measure!r} is {outcome}, not a share (0 to 1)",
        _choices(first),
    )


def _measures(entry: Logged) -> dict[str, float]:
    """Metrics that are a number for each item. A list, such as IFEval's instructions, becomes its mean."""
    found = {}
    for metric in entry["metrics"]:
        value = entry[metric]
        numbers = value if isinstance(value, list) and value else [value]
        if all(isinstance(number, bool | int | float) for number in numbers):
            name = metric if entry["filter"] == "none" else f"{metric}/{entry['filter']}"
            found[name] = float(sum(numbers)) / len(numbers)
    return found


def _response(entry: Logged) -> str:
    choices = _choices(entry)
    if not choices:
        return str(entry["resps"][0][0])
    likelihoods = [choice[0][0] for choice in entry["resps"]]
    return choices[likelihoods.index(max(likelihoods))].strip()


def _target(entry: Logged) -> str:
    target, choices = entry["target"], _choices(entry)
    return choices[target].strip() if choices and isinstance(target, int) else str(target)


def _choices(entry: Logged) -> tuple[str, ...]:
    """The choices as the model reads them, with the leading blank; none if it generates a response."""
    if isinstance(entry["resps"][0][0], str):
        return ()
    return tuple(str(arguments[1]) for arguments in entry["arguments"])
