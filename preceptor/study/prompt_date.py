"""Gives the study's `prompt_date` to every model whose chat template is rendered here."""

from datetime import date
from typing import Any

from preceptor.compute.chat_template import PROMPT_DATE
from preceptor.study.evaluation import Pairwise
from preceptor.study.fields import Model
from preceptor.study.schema import Study


def dated(study: Study) -> Study:
    """The study with its date in every model that does not set one."""
    day = study.prompt_date
    if day == PROMPT_DATE:  # the default of every engine
        return study
    return study.model_copy(
        update={
            "teachers": tuple(_dated(teacher, day) for teacher in study.teachers),
            "bases": tuple(_dated(base, day) for base in study.bases),
            "reward_models": tuple(_dated(model, day) for model in study.reward_models),
            "evaluations": tuple(_with_judge(evaluation, day) for evaluation in study.evaluations),
        }
    )


def _with_judge(evaluation: Any, day: date) -> Any:
    if not isinstance(evaluation, Pairwise):
        return evaluation
    return evaluation.model_copy(update={"judge": _dated(evaluation.judge, day)})


def _dated(part: Any, day: date) -> Any:
    if not isinstance(part, Model) or part.prompt_date is not None:
        return part
    return part.model_copy(update={"prompt_date": day})
