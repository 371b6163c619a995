"""What CAR is made of: for each base, teacher and instruction a mean reward and a mean loss.

Read teacher by teacher, needed columns only, straight into dense arrays: ten million losses never lie in one
table. Where two tables list the same ids in the same order, as after an undisturbed run, nothing is joined.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.current import ROW_TABLES, Current
from preceptor.lake.partitions import Partitions
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import RewardMap, Study

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Dense (bases, teachers, instructions), in the order of instruction ids.

    `there` says for which a sample has both a reward and a loss; `values` are the mean rewards and the mean
    losses of such samples, (2, bases, teachers, instructions), NaN where there are none.
    """

    there: NDArray[np.bool_]
    values: Floats


@dataclass(frozen=True)
class Counted:
    """The cells, and what was counted on the way: a row is a teacher, or a base and a teacher."""

    cells: Cells
    responses: pl.DataFrame
    losses: pl.DataFrame


def read_cells(warehouse: Warehouse, study: Study, current: Current) -> Counted:
    """Cells of the study's teachers and bases, at the versions attached. Only current rows count."""
    tables = {
        table.name: Partitions(warehouse.lake, table, warehouse.versions[table.name]) for table in ROW_TABLES
    }
    instructions = _indexed(tables[RAW_INSTRUCTIONS.name].rows({}, ["instruction_id"]))
    shape = len(study.bases), len(study.teachers), instructions.height
    cells = Cells(np.zeros(shape, dtype=bool), np.full((2, *shape), np.nan))
    response_counts, loss_counts = [], []
    for teacher_index, teacher in enumerate(study.teachers):
        place = {"teacher": teacher.name, "reward_model": study.car_reward_model}
        answers = _answers(tables[RESPONSES.name], place, current.responses.get(teacher.name), instructions)
        scores = _current(tables[REWARDS.name], place, ["reward"], current.rewards[teacher.name])
        mapped = _mapped(study.car.reward_map).alias("reward")
        answers = answers.with_columns(_aligned(answers, scores).select(mapped))
        response_counts.append({"teacher_index": teacher_index, **_response_counts(answers)})
        for base_index, base in enumerate(study.bases):
            place = {"teacher": teacher.name, "base": base.name}
            losses = _losses(tables[BASE_LOSSES.name], place, current.losses.get(base.name), answers)
            at = (base_index, teacher_index)
            _fill(cells, at, answers, losses["loss"])
            indices = {"base_index": base_index, "teacher_index": teacher_index}
            counts = {**_loss_counts(losses), "available": int(cells.there[at].sum())}
            loss_counts.append({**indices, **counts})
    return Counted(cells, pl.DataFrame(response_counts), pl.DataFrame(loss_counts))


def _indexed(instructions: pl.DataFrame) -> pl.DataFrame:
    """Each id as stored, and its place among the sorted ids."""
    places = np.empty(instructions.height, dtype=np.int64)
    places[instructions["instruction_id"].arg_sort().to_numpy()] = np.arange(instructions.height)
    return instructions.with_columns(place=pl.Series(places))


def _answers(
    responses: Partitions, place: dict[str, str], mark: str | None, instructions: pl.DataFrame
) -> pl.DataFrame:
    """A teacher's current responses to the study's instructions: id, place of the instruction, error."""
    rows = _current(responses, place, ["instruction_id", "error"], mark)
    if rows["instruction_id"].equals(instructions["instruction_id"]):
        return rows.with_columns(instructions["place"])
    return rows.join(instructions, on="instruction_id", maintain_order="left")


def _losses(
    losses: Partitions, place: dict[str, str], mark: str | None, answers: pl.DataFrame
) -> pl.DataFrame:
    """For each answer the tokens and the mean NLL under a base; null where it has none."""
    rows = _current(losses, place, ["nll_sum", "tokens", "response_tokens", "error"], mark)
    scored = pl.when(pl.col("error").is_null()).then(pl.col("nll_sum") / pl.col("tokens"))
    return _aligned(answers, rows).select("tokens", "response_tokens", loss=scored)


def _current(table: Partitions, place: dict[str, str], columns: list[str], mark: str | None) -> pl.DataFrame:
    """Rows with this fingerprint: ids and the columns asked for."""
    rows = table.rows(place, ["response_id", *columns, "fingerprint"])
    made_now = rows["fingerprint"].eq_missing(mark or "")
    return (rows if made_now.all() else rows.filter(made_now)).drop("fingerprint")


def _aligned(answers: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the answers, in their order; nulls for an answer without."""
    if rows["response_id"].equals(answers["response_id"]):
        return rows
    return answers.select("response_id").join(rows, on="response_id", how="left", maintain_order="left")


def _mapped(reward_map: RewardMap) -> pl.Expr:
    """What CAR takes for a reward: a function of the row alone."""
    reward = pl.col("reward")
    match reward_map.kind:
        case "sigmoid":
            return 1 / (1 + (-reward).exp())
        case "affine":
            return reward_map.shift + reward_map.scale * reward
        case _:
            return reward


def _fill(cells: Cells, at: tuple[int, int], answers: pl.DataFrame, losses: pl.Series) -> None:
    """Average a teacher's samples per instruction: those that have both a reward and a loss."""
    both = (answers["reward"].is_not_null() & losses.is_not_null()).to_numpy()
    places = answers["place"].to_numpy()[both]
    counts = np.bincount(places, minlength=cells.there.shape[-1])
    cells.there[at] = counts > 0
    for column, values in enumerate((answers["reward"], losses)):
        sums = np.bincount(places, weights=values.to_numpy()[both], minlength=len(counts))
        np.divide(sums, counts, out=cells.values[(column, *at)], where=counts > 0)


def _response_counts(answers: pl.DataFrame) -> dict[str, int]:
    usable = answers.filter(pl.col("error").is_null())
    return {
        "answers": usable.height,
        "answered": usable["place"].n_unique(),
        "rewarded": answers["reward"].count(),
    }


def _loss_counts(losses: pl.DataFrame) -> dict[str, int]:
    return {
        "scored": losses["loss"].count(),
        "tokens": int(losses["tokens"].sum()),
        "response_tokens": int(losses["response_tokens"].sum()),
    }
