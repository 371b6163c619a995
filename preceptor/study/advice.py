"""What a study may say on purpose and most often does not: a remark, never a refusal."""

from collections.abc import Iterator

from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Study


def advice(study: Study) -> Iterator[str]:
    """A sentence per remark; they need nothing but the study itself."""
    if len(study.teachers) == 1:
        yield f"{study.teachers[0].name} is its only teacher: a ranking needs a second one to compare it with"
    scorer = study.reward_model(study.car_reward_model)
    if isinstance(scorer, ClassifierRewardModel) and "reward_map" not in study.car.model_fields_set:
        yield (
            f"CAR divides r, and nothing maps the scores of {scorer.name}: where they may be below 0, as"
            " log-odds are, write 'car: {reward_map: {kind: sigmoid}}'"
        )
