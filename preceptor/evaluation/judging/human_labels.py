"""Which answers people preferred, read from a file, to hold a judge against."""

from collections.abc import Sequence

import polars as pl

from preceptor.evaluation.agreement.labels import LABELS
from preceptor.evaluation.items import Item
from preceptor.evaluation.whole_file import read_whole
from preceptor.lake.schemas import RAW_INSTRUCTIONS
from preceptor.records import Row
from preceptor.records.layout import Conversation, RecordError
from preceptor.responses.matching import AmbiguousError, Matching
from preceptor.study.evaluation import HumanLabels, Pairwise
from preceptor.text import digest

Label = tuple[str, str, str]  # run, item_id, label


def read_labels(evaluation: Pairwise, labels: HumanLabels, items: Sequence[Item] | None) -> pl.DataFrame:
    """Columns `run`, `item_id` and `label` (win, tie or lose of the run's answer), a row per row of the file.

    Labels are joined to the items as recordings are to instructions: by the text with its system prompt, or
    by the text alone where that leaves no doubt. Those of other instructions stay, and match no item. Without
    items (they lie on a hub) only the rows are looked at.

    Raises BenchmarkError for a row without run or instruction, with another label, or that repeats another,
    and for one that could be of several items.
    """
    matching = Matching(_instructions(items or ()))
    found = read_whole(
        labels,
        f"evaluation {evaluation.name!r}, human_labels",
        lambda row: _label(labels, row, matching),
        lambda label: ("/".join(label[:2]), "run and instruction"),
    )
    return pl.DataFrame(found, schema=dict.fromkeys(("run", "item_id", "label"), pl.String), orient="row")


def _instructions(items: Sequence[Item]) -> pl.DataFrame:
    """The items as rows of raw_instructions, as far as matching reads them."""
    rows = {
        "instruction_id": [item.item_id for item in items],
        "prompt_hash": ["" for _ in items],  # nobody reads it here
        "system": [item.system for item in items],
        "turns": [list(item.user) for item in items],
    }
    return pl.DataFrame(rows, schema={name: RAW_INSTRUCTIONS.row_schema[name] for name in rows})


def _label(columns: HumanLabels, row: Row, matching: Matching) -> Label:
    said = _text(row, columns.label).lower()
    if said not in LABELS:
        raise RecordError(f"column {columns.label!r} holds {said!r}: write one of {', '.join(LABELS)}")
    system = row.get(columns.system)
    system = None if system is None or not str(system).strip() else _text(row, columns.system)
    return _text(row, columns.run), _item(columns, system, _turns(row, columns.instruction), matching), said


def _item(columns: HumanLabels, system: str | None, turns: tuple[str, ...], matching: Matching) -> str:
    try:
        found = matching.by_text(Conversation(None, system, turns, ()))
    except AmbiguousError as error:
        raise RecordError(
            f"column {columns.instruction!r} holds the text of several items, which differ in their system"
            f" prompt or blanks: give the system prompt in a column {columns.system!r}, or name another in"
            " 'human_labels.system'"
        ) from error
    except RecordError:  # of no item
        return digest(system or "", *turns)
    return found.instruction_id


def _turns(row: Row, column: str) -> tuple[str, ...]:
    """What was asked: a text, or a list of them where there were several turns."""
    value = row.get(column)
    if not isinstance(value, list) or not value:
        return (_text(row, column),)
    return tuple(_text({column: turn}, column) for turn in value)


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        cure = "fill it" if column in row else "add it, or name another in 'human_labels'"
        raise RecordError(f"column {column!r} holds no text: {cure}")
    return value.strip()
