"""Scores that somebody already has, by question id and model; a missing one is named, never zero.

Missing is not failed: a response that the file has no score of has neither reward nor error. One whose score
cannot be used has an error.
"""

import math
import re
from collections import Counter
from collections.abc import Set
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
from preceptor.study.schema import Limits

VERSION = 2  # 2: a missing score is missing, not failed; truth values and 1_000 are no numbers
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
FIRST_ONLY = "a file by question id and model scores the first sample only"


@dataclass
class ScoreCount:
    """What a score file holds besides this teacher's usable scores; `missing` is why responses have none."""

    read: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    bad_rows: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    unmatched_ids: list[str] = field(default_factory=list)

    def losses(self) -> list[str]:
        """What of the file was not read, however little: a sentence."""
        if not self.bad_rows:
            return []
        return [
            f"{len(self.bad_rows):,} of {self.read:,} rows of the score file cannot be read, the first of"
            f" them {self.bad_rows[0]}"
        ]


@dataclass(frozen=True)
class Score:
    """One row's score, or why it has none: `missing`, or an error."""

    value: float | None
    error: str | None = None
    missing: str | None = None


def collect_recorded_rewards(
    lake: Lake,
    reward_model: RecordedRewardModel,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    lost_rows: float = Limits().lost_rows,
) -> tuple[Outcome, ScoreCount]:
    """Bring the (reward model, teacher) partition to one row per response: a reward, an `error` or neither.

    Raises RecordsError for a file of which more than the share `lost_rows` cannot be read, one without the
    columns, and one that knows the study's instructions by other ids.
    """
    count = ScoreCount()
    name = reward_model.teachers.get(teacher, teacher)
    scores = _scores(reward_model, name, count)
    _refuse_unreadable(reward_model, count, lost_rows)
    nothing = Score(
        None, missing=f"{Path(reward_model.origin).name} has no score of {name} for this instruction"
    )
    source_ids = dict(instructions.select("instruction_id", "source_ids").iter_rows())
    known = Counter(source_id for ids in source_ids.values() for source_id in set(ids))
    for source_id in scores.keys() & {source_id for source_id, times in known.items() if times > 1}:
        scores[source_id] = Score(None, f"the id {source_id!r} belongs to several instructions")
    count.unmatched_ids = sorted(set(scores) - set(known))
    _refuse_other_ids(reward_model, name, scores.keys(), known.keys())
    scored_once = set(responses.unique("source_id", keep="first", maintain_order=True)["response_id"])
    rows = []
    for response in responses.iter_rows(named=True):
        ids = source_ids.get(response["instruction_id"], [])
        if response["source_id"] is not None:
            ids = [response["source_id"]]
        first = response["sample"] == 0 or (
            response["source_id"] is not None and response["response_id"] in scored_once
        )
        score = _score_of(response, first, [scores[id] for id in ids if id in scores], nothing)
        count.missing.update([score.missing] if score.missing else [])
        rows.append(_row(response, score))
    frame = pl.DataFrame(rows, schema=REWARDS.row_schema)
    partition = {"reward_model": reward_model.name, "teacher": teacher}
    return put(lake, REWARDS, partition, recorded_reward_fingerprint(reward_model, teacher), frame), count


def refuse_unusable(reward_model: RecordedRewardModel, lost_rows: float) -> None:
    """Read the file through. Raises RecordsError for all that can be wrong with it alone."""
    count = ScoreCount()
    _scores(reward_model, "", count)
    _refuse_unreadable(reward_model, count, lost_rows)
    if not count.models:
        raise RecordsError(f"reward model {reward_model.name!r}: {reward_model.origin} has no rows")


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
        if not id or not model:
            count.bad_rows.append(f"{place}: says {'no model' if id else 'no id'}")
            continue
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
    id, model = (row[column] for column in (columns.id, columns.model))
    return "" if id is None else str(id), "" if model is None else str(model)


def _score(row: dict[str, Any], reward_model: RecordedRewardModel, place: str) -> Score:
    cell = row[reward_model.columns.score]
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return Score(None, missing=f"empty score in {place}")
    try:
        value = _number(cell)
    except (TypeError, ValueError, OverflowError):
        return Score(None, f"score {cell!r} in {place} is not a number")
    return Score(value) if math.isfinite(value) else Score(None, f"score in {place} is {value}")


def _number(cell: Any) -> float:
    """Numbers, and texts that are written as one: not true, nor 1_000 or other digits that Python takes."""
    if isinstance(cell, bool) or (isinstance(cell, str) and not NUMBER.fullmatch(cell.strip())):
        raise ValueError
    return float(cell)


def _refuse_unreadable(reward_model: RecordedRewardModel, count: ScoreCount, allowed: float) -> None:
    lost = len(count.bad_rows)
    if lost > allowed * count.read:
        raise RecordsError(
            f"reward model {reward_model.name!r}, {reward_model.origin}: {lost:,} of {count.read:,} rows"
            f" cannot be read, more than 'limits.lost_rows' ({allowed:g}) allows; the first is"
            f" {count.bad_rows[0]}"
        )


def _refuse_other_ids(
    reward_model: RecordedRewardModel, name: str, scored: Set[str], known: Set[str]
) -> None:
    """Raise RecordsError where a file scores a teacher, but under ids that no instruction has."""
    if not scored or scored & known:
        return
    file = f"reward model {reward_model.name!r}: {reward_model.origin}"
    here = f"{len(scored):,} scores of {name} under ids such as {min(scored)!r}"
    if known:
        there = f"of which the study's instructions have none: theirs are such as {min(known)!r}"
    else:
        there = "and the study's instructions have no ids"
    raise RecordsError(
        f"{file} has {here} in column {reward_model.columns.id!r}, {there}. Name the column with the right"
        " ids: 'columns.id' of the reward model, or of the instruction source"
    )


def _score_of(response: dict[str, Any], first: bool, found: list[Score], nothing: Score) -> Score:
    if response["error"] is not None:
        return Score(None, f"no response: {response['error']}")
    if not first:
        return Score(None, missing=FIRST_ONLY)
    if len({score.value for score in found}) > 1:
        return Score(None, "the ids of this instruction have different scores")
    return found[0] if found else nothing


def _row(response: dict[str, Any], score: Score) -> dict[str, Any]:
    return {
        "response_id": response["response_id"],
        "instruction_id": response["instruction_id"],
        "sample": response["sample"],
        "reward": score.value,
        "error": score.error,
    }
