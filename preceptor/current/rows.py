"""Which stored rows count: those made under the study's current settings, for its current teachers and bases.

If a setting changed and a partition was not materialized again, it still holds its old rows. Analytics leave
them out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import polars as pl

from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.losses.score import loss_fingerprint
from preceptor.responses.generate import generation_fingerprint
from preceptor.responses.recorded import recording_fingerprint
from preceptor.rewards.recorded import recorded_reward_fingerprint
from preceptor.rewards.score import reward_fingerprint
from preceptor.study.reward_models import AnyRewardModel, RecordedRewardModel
from preceptor.study.schema import Base, Study
from preceptor.study.teachers import AnyTeacher, RecordedTeacher

REASON = 300  # characters; longer reasons are cut, since a hub's errors can fill pages
Part = TypeVar("Part", AnyTeacher, Base)
VIEWS = ("current_responses", "rewards_today", "losses_today", "current_rewards", "current_losses")
ROW_TABLES = (RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES)


@dataclass(frozen=True)
class Current:
    """Current fingerprints: `responses` and `rewards` by teacher, `losses` by base.

    `rewards` covers CAR's reward model only. `lost_teachers` and `lost_bases` hold the reason for each name
    whose fingerprint cannot be computed.
    """

    responses: dict[str, str]
    rewards: dict[str, str]
    losses: dict[str, str]
    lost_teachers: dict[str, str] = field(default_factory=dict)
    lost_bases: dict[str, str] = field(default_factory=dict)

    def parts(self) -> dict[str, Any]:
        """All fingerprints, as parts of the fingerprint of derived data."""
        return {"responses": self.responses, "rewards": self.rewards, "losses": self.losses}


def current_fingerprints(study: Study) -> Current:
    """The fingerprint of each partition under the current settings.

    A teacher or base whose model or file cannot be found is listed as lost; the others can still be ranked.
    Raises ValueError if CAR's reward model cannot be found, since then no teacher can be ranked.
    """
    responses, lost_teachers = _found(study.teachers, responses_fingerprint)
    losses, lost_bases = _found(study.bases, loss_fingerprint)
    model = study.reward_model(study.car_reward_model)
    rewards = {teacher.name: rewards_fingerprint(model, teacher.name) for teacher in study.teachers}
    return Current(responses, rewards, losses, lost_teachers, lost_bases)


def responses_fingerprint(teacher: AnyTeacher) -> str:
    """The fingerprint of a teacher's responses under the current settings."""
    return (
        recording_fingerprint(teacher)
        if isinstance(teacher, RecordedTeacher)
        else generation_fingerprint(teacher)
    )


def rewards_fingerprint(model: AnyRewardModel, teacher: str) -> str:
    """The fingerprint of a reward model's scores of a teacher's responses under the current settings."""
    return (
        recorded_reward_fingerprint(model, teacher)
        if isinstance(model, RecordedRewardModel)
        else reward_fingerprint(model)
    )


def _found(
    parts: Iterable[Part], fingerprint: Callable[[Part], str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The fingerprint of each part, and the reason for each part whose fingerprint cannot be computed."""
    found, lost = {}, {}
    for part in parts:
        try:
            found[part.name] = fingerprint(part)
        except (ValueError, OSError) as error:
            why = " ".join(str(error).split())
            lost[part.name] = why if len(why) <= REASON else f"{why[:REASON]}…"
    return found, lost


def register_current(warehouse: Warehouse, study: Study, current: Current) -> None:
    """Give a warehouse with ROW_TABLES attached the views `current_responses`, `…_rewards`, `…_losses`."""
    teachers = [teacher.name for teacher in study.teachers]
    warehouse.register(
        "study_teachers",
        pl.DataFrame(
            {
                "teacher": teachers,
                "teacher_index": range(len(teachers)),
                "response_fingerprint": [current.responses.get(name) for name in teachers],
                "reward_fingerprint": [current.rewards[name] for name in teachers],
                "reward_model": study.car_reward_model,
                "lost": [current.lost_teachers.get(name) for name in teachers],
            }
        ).cast({"teacher_index": pl.Int32, "response_fingerprint": pl.String, "lost": pl.String}),
    )
    bases = [base.name for base in study.bases]
    warehouse.register(
        "study_bases",
        pl.DataFrame(
            {
                "base": bases,
                "base_index": range(len(bases)),
                "loss_fingerprint": [current.losses.get(name) for name in bases],
                "lost": [current.lost_bases.get(name) for name in bases],
            }
        ).cast({"base_index": pl.Int32, "loss_fingerprint": pl.String, "lost": pl.String}),
    )
    for view in VIEWS:
        warehouse.view(view, f"rows/{view}")
