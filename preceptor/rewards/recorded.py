"""Scores that somebody already has, by question id and model; a missing one is named, never zero."""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Outcome, put
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from preceptor.records import RecordsError, read_records, records_identity
from preceptor.study.reward_models import RecordedRewardModel

VERSION = 1


@dataclass
class ScoreCount:
    """What a score file holds besides this teacher's usable scores."""

    read: int = 0
    bad_rows: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    unmatched_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """One row's score, or why it has none."""

    value: float | None
    error: str | None = None


def collect_recorded_rewards(
    lake: Lake,
    reward_model: RecordedRewardModel,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
) -> tuple[Outcome, ScoreCount]:
    """Bring the (reward model, teacher) partition to one row per response: a reward or an `error`."""
    count = ScoreCount()
    name = reward_model.teachers.get(teacher, teacher)
    scores = _scores(reward_model, name, count)
    nothing = Score(None, f"{Path(reward_model.origin).name} has no score of {name} for this instruction")
    source_ids = dict(instructions.select("instruction_id", "source_ids").iter_rows())
    known = Counter(source_id for ids in source_ids.values() for source_id in set(ids))
    for source_id in scores.keys() & {source_id for source_id, times in known.items() if times > 1}:
        scores[source_id] = Score(None, f"the id {source_id!r} belongs to several instructions")
    count.unmatched_ids = sorted(set(scores) - set(known))
    scored_once = set(responses.unique("source_id", keep="first", maintain_order=True)["response_id"])
    rows = []
    for response in responses.iter_rows(named=True):
        ids = source_ids.get(response["instruction_id"], [])
        if response["source_id"] is not None:
            ids = [response["source_id"]]
        first = response["sample"] == 0 or (
            response["source_id"] is not None and response["response_id"] in scored_once
        )
        rows.append(_row(response, first, [scores[id] for id in ids if id in scores], nothing))
    frame = pl.DataFrame(rows, schema=REWARDS.row_schema)
    partition = {"reward_model": reward_model.name, "teacher": teacher}
    return put(lake, REWARDS, partition, recorded_reward_fingerprint(reward_model, teacher), frame), count


def recorded_reward_fingerprint(reward_model: RecordedRewardModel, teacher: str) -> str:
    """Changes with the file's content, its columns, and the teacher's name in it."""
    columns, name = reward_model.columns.model_dump(), reward_model.teachers.get(teacher, teacher)
    return fingerprint("rewards", VERSION, columns=columns, model=name, **records_identity(reward_model))


def _scores(reward_model: RecordedRewardModel, name: str, count: ScoreCount) -> dict[str, Score]:
    """Question id → score, of one model."""
    found: dict[str, Score] = {}
    for place, row in read_records(reward_model):
        count.read += 1
        if isinstance(row, str):
            count.bad_rows.append(f"{place}: {row}")
            continue
        id, model = _cells(reward_model, row, place)
        count.models[model] += 1
        if model == name:
            found[id] = (
                Score(None, f"two scores in {place}") if id in found else _score(row, reward_model, place)
            )
    return found


def _cells(reward_model: RecordedRewardModel, row: dict[str, Any], place: str) -> tuple[str, str]:
    columns = reward_model.columns
    for column in (columns.id, columns.model, columns.score):
        if column not in row:
            raise RecordsError(
                f"reward model {reward_model.name!r}, {place}: no column {column!r}"
                f" (there are {', '.join(map(str, row))}); set 'columns'"
            )
    return str(row[columns.id]), str(row[columns.model])


def _score(row: dict[str, Any], reward_model: RecordedRewardModel, place: str) -> Score:
    cell = row[reward_model.columns.score]
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return Score(None, f"empty score in {place}")
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        return Score(None, f"score {cell!r} in {place} is not a number")
    return Score(value) if math.isfinite(value) else Score(None, f"score in {place} is {value}")


def _row(response: dict[str, Any], first: bool, found: list[Score], nothing: Score) -> dict[str, Any]:
    if response["error"] is not None:
        score = Score(None, f"no response: {response['error']}")
    elif not first:
        score = Score(None, "a file by question id and model scores the first sample only")
    elif len({score.value for score in found}) > 1:
        score = Score(None, "the ids of this instruction have different scores")
    else:
        score = found[0] if found else nothing
    return {
        "response_id": response["response_id"],
        "instruction_id": response["instruction_id"],
        "sample": response["sample"],
        "reward": score.value,
        "error": score.error,
    }
