"""Which answers people preferred, read from a file, to hold a judge against."""

import polars as pl

from preceptor.evaluation.agreement.labels import LABELS
from preceptor.evaluation.whole_file import read_whole
from preceptor.instructions.layout import RecordError
from preceptor.records import Row
from preceptor.study.evaluation import HumanLabels, Pairwise
from preceptor.text import digest

Label = tuple[str, str, str]  # run, item_id, label


def read_labels(evaluation: Pairwise, labels: HumanLabels) -> pl.DataFrame:
    """Columns `run`, `item_id` and `label` (win, tie or lose of the run's answer), a row per row of the file.

    Raises BenchmarkError for a row without run or instruction, with another label, or that repeats another.
    """
    found = read_whole(
        labels,
        f"evaluation {evaluation.name!r}, human_labels",
        lambda row: _label(labels, row),
        lambda label: ("/".join(label[:2]), "run and instruction"),
    )
    return pl.DataFrame(found, schema=dict.fromkeys(("run", "item_id", "label"), pl.String), orient="row")


def _label(columns: HumanLabels, row: Row) -> Label:
    said = _text(row, columns.label).lower()
    if said not in LABELS:
        raise RecordError(f"column {columns.label!r} holds {said!r}: write one of {', '.join(LABELS)}")
    _text(row, columns.instruction)
    return _text(row, columns.run), digest("", row[columns.instruction]), said


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        cure = "fill it" if column in row else "add it, or name another in 'human_labels'"
        raise RecordError(f"column {column!r} holds no text: {cure}")
    return value.strip()
