"""Score responses by a base model's loss, in one forward pass with transformers."""

import dagster as dg
import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.losses.score import score_losses
from preceptor.scoring import ScoringEngine
from preceptor.study.schema import Base
from resources.gpu import claim_gpus
from resources.model import hold


class LossResource(dg.ConfigurableResource):
    """Settings for scoring on this machine. They change no row."""

    device: str = "auto"
    tokens_per_batch: int = 8192
    retry_failed: bool = False

    def score(
        self, lake: Lake, base: Base, teacher: str, responses: pl.DataFrame, instructions: pl.DataFrame
    ) -> Outcome:
        """Complete a (base, teacher) partition of `base_losses`."""
        return score_losses(
            lake,
            base,
            teacher,
            responses,
            instructions,
            self._load,
            self.retry_failed,
        )

    def _load(self, base: Base) -> ScoringEngine:
        claim_gpus(self.device)
        from preceptor.compute.loss import LossScorer

        settings = base.model_dump(exclude={"name", "family", "size_billions"})
        options = {"device": self.device, "tokens_per_batch": self.tokens_per_batch}
        return hold((base, *options.values()), lambda: LossScorer(**settings, **options))
