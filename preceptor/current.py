"""Which stored rows count today: those made under the study's present settings, for its present members.

A partition that has not been made again since a setting changed keeps its old rows; analytics leave them out.
"""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.warehouse import Warehouse
from preceptor.losses.score import loss_fingerprint
from preceptor.responses.generate import generation_fingerprint
from preceptor.responses.recorded import recording_fingerprint
from preceptor.rewards.recorded import recorded_reward_fingerprint
from preceptor.rewards.score import reward_fingerprint
from preceptor.study.reward_models import RecordedRewardModel
from preceptor.study.schema import Study
from preceptor.study.teachers import RecordedTeacher

ROW_TABLES = (RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES)


@dataclass(frozen=True)
class Current:
    """Fingerprints by teacher, by (reward model, teacher) and by base; `rewards` of CAR's model only."""

    responses: dict[str, str]
    rewards: dict[str, str]
    losses: dict[str, str]

    def parts(self) -> dict[str, Any]:
        """All of them, for a fingerprint of what is derived from the rows."""
        return asdict(self)


def current_fingerprints(study: Study) -> Current:
    """What today's settings would stamp on each partition. Raises ValueError for an unknown model."""
    responses = {
        teacher.name: recording_fingerprint(teacher)
        if isinstance(teacher, RecordedTeacher)
        else generation_fingerprint(teacher)
        for teacher in study.teachers
    }
    model = study.reward_model(study.car_reward_model)
    rewards = {
        teacher.name: recorded_reward_fingerprint(model, teacher.name)
        if isinstance(model, RecordedRewardModel)
        else reward_fingerprint(model)
        for teacher in study.teachers
    }
    return Current(responses, rewards, {base.name: loss_fingerprint(base) for base in study.bases})


def register_current(warehouse: Warehouse, study: Study, current: Current) -> None:
    """Give a warehouse with ROW_TABLES attached the views `current_responses`, `…_rewards`, `…_losses`."""
    teachers = [teacher.name for teacher in study.teachers]
    warehouse.register(
        "study_teachers",
        pl.DataFrame(
            {
                "teacher": teachers,
                "teacher_index": range(len(teachers)),
                "response_fingerprint": [current.responses[name] for name in teachers],
                "reward_fingerprint": [current.rewards[name] for name in teachers],
                "reward_model": study.car_reward_model,
            }
        ).cast({"teacher_index": pl.Int32}),
    )
    bases = [base.name for base in study.bases]
    warehouse.register(
        "study_bases",
        pl.DataFrame(
            {
                "base": bases,
                "base_index": range(len(bases)),
                "loss_fingerprint": [current.losses[name] for name in bases],
            }
        ).cast({"base_index": pl.Int32}),
    )
    for view in ("current_responses", "current_rewards", "current_losses"):
        warehouse.view(view, view)
