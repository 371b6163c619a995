"""`rewards`: each reward model's score of each response."""

import dagster as dg
import polars as pl

from assets import checks
from assets.automation import WEEKLY, when_data_changed
from assets.failures import told
from assets.metadata import distribution, listed, materialized
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.study import STUDY, dimensions, teacher_and_reward_model
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.responses.rows import refuse_failing
from preceptor.rewards.recorded import ScoreCount
from resources.lake import LakeResource
from resources.reward import RewardResource


@dg.asset(
    partitions_def=teacher_and_reward_model,
    deps=[raw_instructions, responses],
    group_name="score",
    kinds={"deltalake", "transformers"},
    pool="gpu",
    automation_condition=when_data_changed(),
    freshness_policy=WEEKLY,
    check_specs=[
        checks.spec("rewards", "read_whole", "Every row of a score file was read"),
        checks.spec("rewards", "unique_keys", "One row per response", blocking=True),
        checks.spec("rewards", "completeness", "Nearly all responses have a score or an error"),
        checks.spec("rewards", "failure_rate", "Few responses failed to be scored"),
        checks.spec("rewards", "finite", "No reward is NaN or infinite", blocking=True),
        checks.spec("rewards", "positive_mean_reward", "CAR needs a positive mean reward"),
        checks.spec("rewards", "reward_drift", "Rewards change little when a response is scored again"),
    ],
)
@told
def rewards(
    context: dg.AssetExecutionContext, lake: LakeResource, reward: RewardResource
) -> dg.MaterializeResult:
    """Each reward model's score of every response.

    A row is one response: its reward, or an error. A missing score stays null and never becomes 0.
    """
    key = dimensions(context)
    reward_model = STUDY.reward_model(key["reward_model"])
    declared = reward_model.model_dump(mode="json", exclude_none=True)
    versions = lake.open().versions(RAW_INSTRUCTIONS, RESPONSES)
    store = lake.open().made_from(versions, declared)
    instructions = store.read(RAW_INSTRUCTIONS, version=versions["raw_instructions"])
    answers = store.read(RESPONSES, {"teacher": key["teacher"]}, version=versions["responses"])
    refuse_failing(key["teacher"], answers, STUDY.limits.failed_rows)
    lost_rows = STUDY.limits.lost_rows
    outcome, scores = reward.score(store, reward_model, key["teacher"], answers, instructions, lost_rows)
    missing = outcome.rows.filter(pl.col("reward").is_null() & pl.col("error").is_null())
    return materialized(
        store,
        outcome,
        read=versions,
        checks=[
            checks.read_whole([] if scores is None else scores.losses()),
            checks.unique_keys(REWARDS, outcome.rows),
            checks.completeness(
                outcome.rows.height,
                outcome.rows.height - missing.height,
                missing["response_id"].to_list(),
                STUDY.limits,
            ),
            checks.failure_rate(outcome.rows, STUDY.limits),
            checks.finite(outcome.rows),
            checks.positive_mean_reward(outcome.rows, STUDY.car.reward_map),
            checks.reward_drift(store, key, outcome.rows, STUDY.limits),
        ],
        plot=lambda: distribution(outcome.rows["reward"], "reward"),
        mean_reward=outcome.rows["reward"].mean(),
        reward_model=declared,
        **({} if scores is None else _account(scores, set(reward_model.teachers.values()))),
    )


def _account(scores: ScoreCount, renamed: set[str]) -> dict[str, dg.MetadataValue | int]:
    known = {teacher.name for teacher in STUDY.teachers} | renamed
    unknown = [f"{model}: {rows} scores" for model, rows in scores.models.items() if model not in known]
    return {
        "scores_read": scores.read,
        "scores_missing": dg.MetadataValue.md(
            listed([f"{count:,} × {why}" for why, count in scores.missing.most_common()])
        ),
        "scores_of_unknown_models": dg.MetadataValue.md(listed(unknown)),
        "scores_of_unknown_ids": dg.MetadataValue.md(listed(scores.unmatched_ids)),
        "scores_unreadable": dg.MetadataValue.md(listed(scores.bad_rows)),
    }
