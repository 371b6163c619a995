"""Reads people's labels of answers from a file, to compare them with a judge's verdicts."""

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
    """Columns `run`, `item_id` and `label` (win, tie or lose of the run's answer), for each row of the file.

    Labels are matched to items as recordings are to instructions: by the text with its system prompt, or by
    the text alone if that is unique. Labels of other instructions are kept, and match no item. Without items
    (if they are on a hub), only the rows are checked.

    Raises BenchmarkError for a row without run or instruction, with an unknown label, that repeats another,
    or that matches several items.
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
    """The items as rows of raw_instructions, with the columns that matching reads."""
    rows = {
        "instruction_id": [item.item_id for item in items],
        "prompt_hash": ["" for _ in items],  # not read here
        "system": [item.system for item in items],
        "turns": [list(item.user) for item in items],
    }
    return pl.DataFrame(rows, schema={name: RAW_INSTRUCTIONS.row_schema[name] for name in rows})


def _label(columns: HumanLabels, row: Row, matching: Matching) -> Label:
    label = _text(row, columns.label).lower()
    if label not in LABELS:
        raise RecordError(f"column {columns.label!r} is {label!r}: use one of {', '.join(LABELS)}")
    system = row.get(columns.system)
    system = None if system is None or not str(system).strip() else _text(row, columns.system)
    return _text(row, columns.run), _item(columns, system, _turns(row, columns.instruction), matching), label


def _item(columns: HumanLabels, system: str | None, turns: tuple[str, ...], matching: Matching) -> str:
    try:
        found = matching.by_text(Conversation(None, system, turns, ()))
    except AmbiguousError as error:
        raise RecordError(
            f"column {columns.instruction!r} has the text of several items, which differ in their system"
            f" prompt or blanks: add the system prompt in column {columns.system!r}, or name another column"
            " in 'human_labels.system'"
        ) from error
    except RecordError:  # it matches no item
        return digest(system or "", *turns)
    return found.instruction_id


def _turns(row: Row, column: str) -> tuple[str, ...]:
    """The user turns: a text, or a list of texts for several turns."""
    value = row.get(column)
    if not isinstance(value, list) or not value:
        return (_text(row, column),)
    return tuple(_text({column: turn}, column) for turn in value)


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        cure = "fill it" if column in row else "add it, or name another column in 'human_labels'"
        raise RecordError(f"column {column!r} has no text: {cure}")
    return value.strip()
