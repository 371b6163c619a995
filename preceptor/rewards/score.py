"""Rewards from a sequence classifier run here, one row per response, committed as they come."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import polars as pl

from preceptor.compute.conversation import TEMPLATES, Conversation
from preceptor.fingerprint import fingerprint, model_identity
from preceptor.lake.resume import Outcome, Work, complete
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from preceptor.responses.rows import chunks, with_prompts
from preceptor.study.schema import ClassifierRewardModel

if TYPE_CHECKING:
    from preceptor.compute.reward import RewardScorer

VERSION = 1


def score_rewards(
    lake: Lake,
    reward_model: ClassifierRewardModel,
    teacher: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    load: Callable[[ClassifierRewardModel], "RewardScorer"],
    rows_per_commit: int,
) -> Outcome:
    """Bring the (reward model, teacher) partition to one row per response: a reward or an `error`."""

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        scorer = load(reward_model)
        for chunk in chunks(missing, rows_per_commit):
            good = [row for row in chunk.to_dicts() if row["error"] is None]
            rewards = scorer.score(
                [Conversation(r["system"], tuple(r["user"]), tuple(r["turns"])) for r in good]
            )
            found = {row["response_id"]: reward for row, reward in zip(good, rewards, strict=True)}
            yield _frame(
                chunk, {id: r.reward for id, r in found.items()}, {id: r.error for id, r in found.items()}
            )

    work = Work(
        REWARDS,
        {"reward_model": reward_model.name, "teacher": teacher},
        reward_fingerprint(reward_model),
        ("response_id", "instruction_id"),
        with_prompts(responses, instructions),
    )
    return complete(lake, work, compute)


def reward_fingerprint(reward_model: ClassifierRewardModel) -> str:
    """Changes with the model, its template and how its head is read."""
    how = reward_model.model_dump(include={"engine", "dtype", "prompt_format", "label", "max_length"})
    identity = model_identity(reward_model.model, reward_model.revision)
    return fingerprint(
        "rewards", VERSION, model=identity, template=TEMPLATES.get(reward_model.prompt_format), **how
    )


def _frame(
    chunk: pl.DataFrame, rewards: dict[str, float | None], errors: dict[str, str | None]
) -> pl.DataFrame:
    ids = chunk["response_id"].to_list()
    failed = chunk["error"].to_list()
    return chunk.select("response_id", "instruction_id", "sample").with_columns(
        pl.Series("reward", [rewards.get(id) for id in ids], dtype=pl.Float64),
        pl.Series(
            "error",
            [
                errors.get(id) if no is None else f"no response: {no}"
                for id, no in zip(ids, failed, strict=True)
            ],
            dtype=pl.String,
        ),
    )
