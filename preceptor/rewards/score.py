"""Rewards from a classifier run here or a judge behind an endpoint, committed as they come."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import polars as pl

from preceptor.compute.conversation import Conversation
from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.lake.resume import Outcome, Rows, Work, complete
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from preceptor.progress import in_words
from preceptor.responses.rows import with_prompts
from preceptor.study.reward_models import ClassifierRewardModel, JudgeRewardModel, ScoringRewardModel

log = logging.getLogger(__name__)
VERSION = 3  # 3: the model's own text of a conversation, from which nothing is lost


class Scored(Protocol):
    """A score, or why there is none."""

    reward: float | None
    error: str | None


class RewardEngine(Protocol):
    """What gives rewards. `facts` says what the work took, for people who read logs."""

    facts: dict[str, int | float]

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Scored]]:
        """Yield (number of the conversation, its reward) as they finish, in any order, each once."""


def score_rewards(
    lake: Lake,
    reward_model: ScoringRewardModel,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    load: Callable[[Any], RewardEngine],
    retry_failed: bool = False,
) -> Outcome:
    """Bring the (reward model, teacher) partition to one row per response: a reward or an `error`."""
    facts: dict[str, int | float] = {}

    def compute(missing: pl.DataFrame) -> Rows:
        failed = missing.filter(pl.col("error").is_not_null())
        yield from (_row(row, None, f"no response: {row['error']}") for row in failed.to_dicts())
        rows = missing.filter(pl.col("error").is_null()).to_dicts()
        if not rows:
            return
        engine = load(reward_model)
        asked = [Conversation(r["system"], tuple(r["user"]), tuple(r["turns"])) for r in rows]
        try:
            for number, scored in engine.stream(asked):
                yield _row(rows[number], scored.reward, scored.error)
        finally:
            facts.update(engine.facts)
            if facts:
                log.info("rewards %s × %s: %s", reward_model.name, teacher, in_words(facts))

    work = Work(
        REWARDS,
        {"reward_model": reward_model.name, "teacher": teacher},
        reward_fingerprint(reward_model),
        ("response_id", "instruction_id"),
        with_prompts(responses, instructions),
        retry_failed,
    )
    outcome = complete(lake, work, compute)
    return replace(outcome, facts=outcome.facts | facts)


def reward_fingerprint(reward_model: ScoringRewardModel) -> str:
    """Changes with the model, its template or rubric, and how its answer is read."""
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


def _row(row: dict[str, Any], reward: float | None, error: str | None) -> dict[str, Any]:
    identity = {key: row[key] for key in ("response_id", "instruction_id", "sample")}
    return {**identity, "reward": reward, "error": error}
