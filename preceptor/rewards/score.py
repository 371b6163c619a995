"""Rewards from a local classifier or a judge behind an endpoint, one row per response."""

from collections.abc import Callable
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.lake.resume import Outcome
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from preceptor.scoring import ScoringEngine, score_responses, scoring_work
from preceptor.study.reward_models import ClassifierRewardModel, JudgeRewardModel, ScoringRewardModel

VERSION = 3  # 3: the conversation in the model's own template, with nothing lost


def score_rewards(
    lake: Lake,
    reward_model: ScoringRewardModel,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    load: Callable[[Any], ScoringEngine],
    retry_failed: bool = False,
) -> Outcome:
    """Complete the (reward model, teacher) partition: per response a reward or an `error`."""
    partition = {"reward_model": reward_model.name, "teacher": teacher}
    scored_by = reward_fingerprint(reward_model)
    work = scoring_work(REWARDS, partition, scored_by, responses, instructions, retry_failed)
    return score_responses(lake, work, lambda: load(reward_model))


def reward_fingerprint(reward_model: ScoringRewardModel) -> str:
    """Changes with the model, its template or rubric, and the parsing of its answer."""
    match reward_model:
        case ClassifierRewardModel():
            how = reward_model.model_dump(include={"engine", "dtype", "prompt_format", "label", "max_length"})
            identity = prompt_identity(
                reward_model.model,
                reward_model.revision,
                reward_model.prompt_format,
                reward_model.prompt_date,
            )
            return fingerprint("rewards", VERSION, **identity, **how)
        case JudgeRewardModel():
            from preceptor.rewards.judge import JUDGE_VERSION

            how = reward_model.model_dump(include={"engine", "rubric", "seed"}) | reward_model.identity
            return fingerprint("rewards", VERSION, judge=JUDGE_VERSION, **how)
