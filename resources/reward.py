"""The engines that give rewards: `recorded` and `sequence_classification`."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.rewards.recorded import ScoreCount, collect_recorded_rewards
from preceptor.rewards.score import score_rewards
from preceptor.study.schema import ClassifierRewardModel, RecordedRewardModel
from resources.model import hold

if TYPE_CHECKING:
    from preceptor.compute.reward import RewardScorer


class RewardResource(dg.ConfigurableResource):
    """How this machine scores. None of these settings changes a row."""

    device: str = "auto"
    tokens_per_batch: int = 8192
    rows_per_commit: int = 128

    def score(
        self,
        lake: Lake,
        reward_model: ClassifierRewardModel | RecordedRewardModel,
        teacher: str,
        responses: pl.DataFrame,
        instructions: pl.DataFrame,
    ) -> tuple[Outcome, ScoreCount | None]:
        """Complete a (reward model, teacher) partition of `rewards`."""
        match reward_model:
            case RecordedRewardModel():
                return collect_recorded_rewards(lake, reward_model, teacher, responses, instructions)
            case ClassifierRewardModel():
                outcome = score_rewards(
                    lake, reward_model, teacher, responses, instructions, self._load, self.rows_per_commit
                )
                return outcome, None

    def _load(self, reward_model: ClassifierRewardModel) -> "RewardScorer":
        from preceptor.compute.reward import RewardScorer

        settings = reward_model.model_dump(exclude={"name", "engine"})
        options = {"device": self.device, "tokens_per_batch": self.tokens_per_batch}
        return hold((reward_model, *options.values()), lambda: RewardScorer(**settings, **options))
