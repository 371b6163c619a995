"""Read a file of scores once for all of its models: the scores, and why some are missing."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.lake.content import content_hash
from preceptor.records import RecordsError, read_records, records_identity
from preceptor.records.column_names import last_word
from preceptor.records.missing_column import in_yaml, listed
from preceptor.rewards.score_cache import Kept, keep, kept, kept_scores
from preceptor.study.reward_models import RecordedRewardModel, RewardColumns
from preceptor.text import repair

VERSION = 1
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
# A row is the score of one id, or the reason why it has none.
SCHEMA = {"id": pl.String, "value": pl.Float64, "error": pl.String, "missing": pl.String}
# Common column names in files of scores.
USUAL = {"id": ("id", "uid"), "model": ("model", "teacher"), "score": ("score", "reward", "rating", "grade")}
OWN = ["id", "value", "error"]  # determine the rewards; `missing` is only information


@dataclass(frozen=True)
class Score:
    """A row's score, or the reason why it has none: `missing` or `error`."""

    value: float | None
    error: str | None = None
    missing: str | None = None


@dataclass(frozen=True)
class ScoreFile:
    """Rows read, unreadable rows, rows per model, and a hash of each model's scores."""

    read: int
    bad_rows: tuple[str, ...]
    models: Mapping[str, int]
    digests: Mapping[str, str]
    frames: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False)

    def scores(self, model: str) -> dict[str, Score]:
        """Question id → score, for one model. Empty for a model that the file does not name."""
        rows = self.frames[model].iter_rows() if model in self.frames else ()
        return {id: Score(value, error, missing) for id, value, error, missing in rows}


_held: dict[str, ScoreFile] = {}  # the latest file, if the cache on disk cannot be written


def read_scores(reward_model: RecordedRewardModel, model: str | None = None) -> ScoreFile:
    """The file's content, with at least the scores of `model` if one is named.

    A file is parsed once. The result is cached on this machine for other processes, by content. Raises
    RecordsError for a damaged file, or one that lacks a column.
    """
    if reward_model.path is None:  # a hub dataset may change under the same name
        return _read(reward_model)
    mark = _mark(reward_model)
    found = _held.get(mark) or _kept(mark, model)
    if found is None:
        found = _read(reward_model)
        if _mark(reward_model) == mark and not keep(mark, _said(found), found.frames):
            _held.clear()
            _held[mark] = found
    return found


def scores_digest(reward_model: RecordedRewardModel, model: str) -> str | None:
    """A hash of the scores that determine this model's rewards; None if the file has none."""
    return read_scores(reward_model).digests.get(model)


def _mark(reward_model: RecordedRewardModel) -> str:
    """Changes with everything that changes the cached content, including the file name in messages."""
    how = {"columns": reward_model.columns.model_dump(), "file": Path(str(reward_model.path)).name}
    return fingerprint("scores", VERSION, **how, **records_identity(reward_model))


def _kept(mark: str, model: str | None) -> ScoreFile | None:
    said = kept(mark)
    if said is None:
        return None
    frames = {}
    if model in said.digests:
        assert model is not None
        frame = kept_scores(mark, said, model)
        if frame is None:
            return None
        frames[model] = frame
    return ScoreFile(said.read, said.bad_rows, said.models, said.digests, frames)


def _said(found: ScoreFile) -> Kept:
    return Kept(found.read, found.bad_rows, found.models, found.digests)


def _read(reward_model: RecordedRewardModel) -> ScoreFile:
    read, bad_rows, models = 0, [], Counter[str]()
    scores: dict[str, dict[str, float | Score]] = {}
    for place, row in read_records(reward_model):
        read += 1
        if isinstance(row, str):
            bad_rows.append(f"{place}: {row}")
            continue
        id, model = _cells(reward_model, row, place)
        if not id or not model:
            bad_rows.append(f"{place}: says {'no model' if id else 'no id'}")
            continue
        models[model] += 1
        found = scores.setdefault(model, {})
        found[id] = Score(None, f"two scores in {place}") if id in found else _score(row, reward_model, place)
    frames = {model: _frame(found) for model, found in scores.items()}
    digests = {model: content_hash(frame.select(OWN), ("id",)) for model, frame in frames.items()}
    return ScoreFile(read, tuple(bad_rows), dict(models), digests, frames)


def _frame(scores: Mapping[str, float | Score]) -> pl.DataFrame:
    told = [score if isinstance(score, Score) else None for score in scores.values()]
    columns = {
        "id": list(scores),
        "value": [score.value if isinstance(score, Score) else score for score in scores.values()],
        "error": [None if score is None or score.error is None else repair(score.error) for score in told],
        "missing": [
            None if score is None or score.missing is None else repair(score.missing) for score in told
        ],
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def _cells(reward_model: RecordedRewardModel, row: dict[str, Any], place: str) -> tuple[str, str]:
    columns = reward_model.columns
    for column in (columns.id, columns.model, columns.score):
        if column not in row:
            raise RecordsError(
                f"reward model {reward_model.name!r}, {place}: no column {column!r} (there are {listed(row)})"
                f"; set '{_setting(columns, row)}' (scores are matched by the instructions' ids)"
            )
    id, model = row[columns.id], row[columns.model]
    return "" if id is None else repair(str(id)), "" if model is None else repair(str(model))


def _setting(columns: RewardColumns, row: dict[str, Any]) -> str:
    """The 'columns' setting for a file of scores, with … where the column cannot be guessed."""
    found: dict[str, str] = {}
    for role, column in columns.model_dump().items():
        usual = (name for name in row if last_word(name) in USUAL[role])
        name = column if column in row else next(usual, None)
        found[role] = "…" if name is None else in_yaml(name)
    return f"columns: {{{', '.join(f'{role}: {column}' for role, column in found.items())}}}"


def _score(row: dict[str, Any], reward_model: RecordedRewardModel, place: str) -> float | Score:
    cell = row[reward_model.columns.score]
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return Score(None, missing=f"empty score in {place}")
    try:
        value = _number(cell)
    except (TypeError, ValueError, OverflowError):
        return Score(None, f"score {cell!r} in {place} is not a number")
    return value if math.isfinite(value) else Score(None, f"score in {place} is {value}")


def _number(cell: Any) -> float:
    """A number, or a text that is one. Unlike in Python, booleans, 1_000 and non-ASCII digits are not."""
    if isinstance(cell, bool) or (isinstance(cell, str) and not NUMBER.fullmatch(cell.strip())):
        raise ValueError
    return float(cell)
