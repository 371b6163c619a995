"""Remarks on valid settings that are usually not intended."""

from collections.abc import Iterator

from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Study


def advice(study: Study) -> Iterator[str]:
    """One sentence per remark, from the study alone."""
    if len(study.teachers) == 1:
        yield f"{study.teachers[0].name} is the study's only teacher: a ranking needs at least two"
    scorer = study.reward_model(study.car_reward_model)
    if isinstance(scorer, ClassifierRewardModel) and "reward_map" not in study.car.model_fields_set:
        yield (
            f"CAR needs positive rewards, but the scores of {scorer.name} are not mapped: if they can be"
            " below 0, as log-odds can, set 'car: {reward_map: {kind: sigmoid}}'"
        )
