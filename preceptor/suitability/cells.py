"""The inputs of every metric: means of row columns for each base, teacher and instruction.

Rows are read by teacher, with the needed columns only, into dense arrays, so ten million losses are never in
one table. Tables that list the same ids in the same order, as after an uninterrupted run, are not joined.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.current import ROW_TABLES, Current
from preceptor.lake.partitions import Partitions
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Study
from preceptor.suitability.metrics import MEAN_NLL, REWARD, Floats, RowColumn
from preceptor.suitability.reward_map import reward_expression

CAR_COLUMNS = (REWARD, MEAN_NLL)
Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """Dense (bases, teachers, instructions), in the order of instruction ids.

    `there` is true if a sample has both a reward and a loss. `values` has the means of `columns` over these
    samples, (columns, bases, teachers, instructions), NaN if there are none.
    """

    columns: tuple[str, ...]
    there: Truth
    values: Floats


@dataclass(frozen=True)
class Counted:
    """The cells, and counts of responses (a row per teacher) and of losses (a row per base and teacher)."""

    cells: Cells
    responses: pl.DataFrame
    losses: pl.DataFrame


def read_cells(
    warehouse: Warehouse, study: Study, current: Current, columns: Sequence[RowColumn] = CAR_COLUMNS
) -> Counted:
    """Cells of the study's teachers and bases, at the versions attached. Only current rows count.

    `columns` must start with CAR's.
    """
    tables = {
        table.name: Partitions(warehouse.lake, table, warehouse.versions[table.name]) for table in ROW_TABLES
    }
    instructions = _indexed(tables[RAW_INSTRUCTIONS.name].rows({}, ["instruction_id"]))
    shape = len(study.bases), len(study.teachers), instructions.height
    names = tuple(column.name for column in columns)
    cells = Cells(names, np.zeros(shape, dtype=bool), np.full((len(names), *shape), np.nan))
    response_counts, loss_counts = [], []
    for teacher_index, teacher in enumerate(study.teachers):
        place = {"teacher": teacher.name, "reward_model": study.car_reward_model}
        answers = _answers(tables[RESPONSES.name], place, current.responses.get(teacher.name), instructions)
        scores = _current(tables[REWARDS.name], place, ["reward"], current.rewards[teacher.name])
        mapped = pl.sql_expr(reward_expression(study.car.reward_map)).alias(REWARD.name)
        answers = answers.with_columns(_aligned(answers, scores).select(mapped))
        response_counts.append({"teacher_index": teacher_index, **_response_counts(answers)})
        for base_index, base in enumerate(study.bases):
            place = {"teacher": teacher.name, "base": base.name}
            rows = _losses(tables[BASE_LOSSES.name], place, current.losses.get(base.name), answers, columns)
            valued = rows.select(_valued(column) for column in columns if column.needs_losses)
            at = (base_index, teacher_index)
            _fill(cells, at, answers["place"], valued.with_columns(answers[REWARD.name]))
            indices = {"base_index": base_index, "teacher_index": teacher_index}
            counts = {**_loss_counts(rows, valued[MEAN_NLL.name]), "available": int(cells.there[at].sum())}
            loss_counts.append({**indices, **counts})
    return Counted(cells, pl.DataFrame(response_counts), pl.DataFrame(loss_counts))


def used_cells(there: Truth, rows: Literal["common", "available"]) -> Truth:
    """(bases, teachers, instructions): the cells that the means are taken over.

    With `common` rows the means of a base are paired: an instruction counts only if every teacher that can be
    ranked has a cell. With `available` rows it counts for every teacher that has it.
    """
    if rows == "available":
        return there
    ranked = there.any(axis=2, keepdims=True)
    common: Truth = (there | ~ranked).all(axis=1, keepdims=True) & there
    return common


def used_values(cells: Cells, used: Truth, columns: Sequence[str]) -> Floats:
    """(columns, bases, teachers, instructions): the values of the used cells, NaN for the others.

    Instructions without a used cell are left out, because resampling them is useless.
    """
    chosen = [cells.columns.index(name) for name in columns]
    of_columns = cells.values if chosen == list(range(len(cells.columns))) else cells.values[chosen]
    if used.all():
        return of_columns
    values = of_columns[..., used.any(axis=(0, 1))]
    values[:, ~used[..., used.any(axis=(0, 1))]] = np.nan
    return values


def _indexed(instructions: pl.DataFrame) -> pl.DataFrame:
    """The ids in stored order, with their places among the sorted ids."""
    places = np.empty(instructions.height, dtype=np.int64)
    places[instructions["instruction_id"].arg_sort().to_numpy()] = np.arange(instructions.height)
    return instructions.with_columns(place=pl.Series(places))


def _answers(
    responses: Partitions, place: dict[str, str], fingerprint: str | None, instructions: pl.DataFrame
) -> pl.DataFrame:
    """A teacher's current responses to the study's instructions: id, place of the instruction, error."""
    rows = _current(responses, place, ["instruction_id", "error"], fingerprint)
    if rows["instruction_id"].equals(instructions["instruction_id"]):
        return rows.with_columns(instructions["place"])
    return rows.join(instructions, on="instruction_id", maintain_order="left")


def _losses(
    losses: Partitions,
    place: dict[str, str],
    fingerprint: str | None,
    answers: pl.DataFrame,
    columns: Sequence[RowColumn],
) -> pl.DataFrame:
    """The stored columns that `columns` need, for each answer under a base; null if it has no loss."""
    made_of = [name for column in columns if column.needs_losses for name in column.reads]
    stored = list(dict.fromkeys(["tokens", "response_tokens", *made_of, "error"]))
    return _aligned(answers, _current(losses, place, stored, fingerprint)).select(stored)


def _valued(column: RowColumn) -> pl.Expr:
    """A row's value; null if it failed."""
    return pl.when(pl.col("error").is_null()).then(pl.sql_expr(column.sql)).alias(column.name)


def _current(
    table: Partitions, place: dict[str, str], columns: list[str], fingerprint: str | None
) -> pl.DataFrame:
    """Rows with this fingerprint: ids and the given columns."""
    rows = table.rows(place, ["response_id", *columns, "fingerprint"])
    made_now = rows["fingerprint"].eq_missing(fingerprint or "")
    return (rows if made_now.all() else rows.filter(made_now)).drop("fingerprint")


def _aligned(answers: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the answers, in their order; nulls for an answer without a row."""
    if rows["response_id"].equals(answers["response_id"]):
        return rows
    return answers.select("response_id").join(rows, on="response_id", how="left", maintain_order="left")


def _fill(cells: Cells, at: tuple[int, int], places: pl.Series, rows: pl.DataFrame) -> None:
    """Average a teacher's samples with both a reward and a loss, per instruction.

    Values that are not finite are left out, except in CAR's columns.
    """
    both = rows[REWARD.name].is_not_null() & rows[MEAN_NLL.name].is_not_null()
    for number, name in enumerate(cells.columns):
        is_there = both if number < len(CAR_COLUMNS) else both & rows[name].is_finite().fill_null(False)
        chosen = is_there.to_numpy()
        of_instruction = places.to_numpy()[chosen]
        counts = np.bincount(of_instruction, minlength=cells.there.shape[-1])
        sums = np.bincount(of_instruction, weights=rows[name].to_numpy()[chosen], minlength=len(counts))
        np.divide(sums, counts, out=cells.values[(number, *at)], where=counts > 0)
        if number == 0:
            cells.there[at] = counts > 0


def _response_counts(answers: pl.DataFrame) -> dict[str, int]:
    usable = answers.filter(pl.col("error").is_null())
    return {
        "answers": usable.height,
        "answered": usable["place"].n_unique(),
        "rewarded": answers[REWARD.name].count(),
    }


def _loss_counts(rows: pl.DataFrame, losses: pl.Series) -> dict[str, int]:
    return {
        "scored": losses.count(),
        "tokens": int(rows["tokens"].sum()),
        "response_tokens": int(rows["response_tokens"].sum()),
    }
