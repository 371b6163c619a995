"""Read recorded scores by question id and model. A missing score is reported and never counted as zero.

Missing is not failed: a response without a score in the file has neither reward nor error. A response whose
score cannot be used has an error.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Outcome, put
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from preceptor.records import RecordsError, records_identity
from preceptor.rewards.score_file import Score, ScoreFile, read_scores, scores_digest
from preceptor.study.reward_models import RecordedRewardModel
from preceptor.study.schema import Limits

VERSION = 2  # 2: a missing score is missing, not failed; booleans and 1_000 are not numbers
FIRST_ONLY = "a file by question id and model scores the first sample only"


@dataclass
class ScoreCount:
    """The account of a score file, apart from the usable scores. `missing`: why responses have no score."""

    read: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    bad_rows: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    unmatched_ids: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, file: ScoreFile) -> "ScoreCount":
        """The account before any response is matched."""
        return cls(file.read, bad_rows=list(file.bad_rows), models=Counter(file.models))

    def losses(self) -> list[str]:
        """A sentence on unreadable rows, even if there are few."""
        if not self.bad_rows:
            return []
        return [
            f"{len(self.bad_rows):,} of {self.read:,} rows of the score file cannot be read; the first is"
            f" {self.bad_rows[0]}"
        ]


def collect_recorded_rewards(
    lake: Lake,
    reward_model: RecordedRewardModel,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    lost_rows: float = Limits().lost_rows,
) -> tuple[Outcome, ScoreCount]:
    """Complete the (reward model, teacher) partition: per response a reward, an `error` or neither.

    Raises RecordsError for a file that loses more than the share `lost_rows`, one that lacks a column, and
    one whose ids do not match the study's instructions.
    """
    name = reward_model.teachers.get(teacher, teacher)
    file = read_scores(reward_model, name)
    count = ScoreCount.of(file)
    _refuse_unreadable(reward_model, count, lost_rows)
    scores = file.scores(name)
    source_ids = dict(instructions.select("instruction_id", "source_ids").iter_rows())
    known = Counter(source_id for ids in source_ids.values() for source_id in set(ids))
    for source_id in scores.keys() & {source_id for source_id, times in known.items() if times > 1}:
        scores[source_id] = Score(None, f"the id {source_id!r} belongs to several instructions")
    count.unmatched_ids = sorted(scores.keys() - known.keys())
    _refuse_other_ids(reward_model, name, scores.keys(), known.keys())
    nothing = Score(
        None, missing=f"{Path(reward_model.origin).name} has no score of {name} for this instruction"
    )
    found = [_score_of(*asked, scores, nothing) for asked in _asked(responses, source_ids)]
    count.missing.update(score.missing for score in found if score.missing)
    frame = REWARDS.conform(
        responses.select("response_id", "instruction_id", "sample").with_columns(
            pl.Series("reward", [score.value for score in found], dtype=pl.Float64),
            pl.Series("error", [score.error for score in found], dtype=pl.String),
        )
    )
    partition = {"reward_model": reward_model.name, "teacher": teacher}
    return put(lake, REWARDS, partition, recorded_reward_fingerprint(reward_model, teacher), frame), count


def _asked(
    responses: pl.DataFrame, source_ids: Mapping[str, list[str]]
) -> Iterator[tuple[str | None, bool, list[str]]]:
    """Per response: its error, whether the file may score it, and the ids to look up."""
    scored_once = set(responses.unique("source_id", keep="first", maintain_order=True)["response_id"])
    columns = ("response_id", "instruction_id", "source_id", "sample", "error")
    for response_id, instruction_id, source_id, sample, error in responses.select(columns).iter_rows():
        if source_id is None:
            yield error, sample == 0, source_ids.get(instruction_id, [])
        else:
            yield error, sample == 0 or response_id in scored_once, [source_id]


def refuse_unusable(reward_model: RecordedRewardModel, lost_rows: float) -> None:
    """Read the whole file. Raises RecordsError for any problem that the file alone shows."""
    count = ScoreCount.of(read_scores(reward_model))
    _refuse_unreadable(reward_model, count, lost_rows)
    if not count.models:
        raise RecordsError(f"reward model {reward_model.name!r}: {reward_model.origin} has no rows")


def recorded_reward_fingerprint(reward_model: RecordedRewardModel, teacher: str) -> str:
    """Changes with the teacher's own scores, but not with other teachers' rows in the file.

    Raises RecordsError for a file that cannot be read.
    """
    name = reward_model.teachers.get(teacher, teacher)
    if reward_model.path is None:
        how = {"columns": reward_model.columns.model_dump(), **records_identity(reward_model)}
        return fingerprint("rewards", VERSION, model=name, **how)
    return fingerprint("rewards", VERSION, model=name, scores=scores_digest(reward_model, name))


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
    """Raise RecordsError if a file scores a teacher only under ids that no instruction has."""
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
        " ids, as in 'columns: {id: …}', in the reward model or in the instruction source"
    )


def _score_of(
    error: str | None, scorable: bool, ids: list[str], scores: Mapping[str, Score], nothing: Score
) -> Score:
    if error is not None:
        return Score(None, f"no response: {error}")
    if not scorable:
        return Score(None, missing=FIRST_ONLY)
    found = [scores[id] for id in ids if id in scores]
    if len(found) > 1 and len({score.value for score in found}) > 1:
        return Score(None, "the ids of this instruction have different scores")
    return found[0] if found else nothing
