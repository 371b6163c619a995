"""The engines of reward models: `recorded`, `sequence_classification`, and `openai` (a judge)."""

import dagster as dg
import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.rewards.recorded import ScoreCount, collect_recorded_rewards
from preceptor.rewards.score import score_rewards
from preceptor.scoring import ScoringEngine
from preceptor.study.reward_models import (
    AnyRewardModel,
    ClassifierRewardModel,
    JudgeRewardModel,
    RecordedRewardModel,
    ScoringRewardModel,
)
from resources.engines import load_classifier


class RewardResource(dg.ConfigurableResource):
    """Settings for scoring on this machine. They change rows by rounding at most."""

    device: str = "auto"
    tokens_per_batch: int = 8192
    retry_failed: bool = False

    def score(
        self,
        lake: Lake,
        reward_model: AnyRewardModel,
        teacher: str,
        responses: pl.DataFrame,
        instructions: pl.DataFrame,
        lost_rows: float,
    ) -> tuple[Outcome, ScoreCount | None]:
        """Complete a (reward model, teacher) partition of `rewards`.

        At most the share `lost_rows` of a score file may be unreadable.
        """
        if isinstance(reward_model, RecordedRewardModel):
            return collect_recorded_rewards(lake, reward_model, teacher, responses, instructions, lost_rows)
        outcome = score_rewards(
            lake,
            reward_model,
            teacher,
            responses,
            instructions,
            self._load,
            self.retry_failed,
        )
        return outcome, None

    def _load(self, reward_model: ScoringRewardModel) -> ScoringEngine:
        match reward_model:
            case ClassifierRewardModel():
                return load_classifier(reward_model, self.device, self.tokens_per_batch)
            case JudgeRewardModel():
                from preceptor.rewards.judge import RewardJudge

                return RewardJudge(reward_model)
