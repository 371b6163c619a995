"""The engines that examine a tuned model: transformers answers, a program or a classifier decides."""

from typing import TYPE_CHECKING

import dagster as dg

from preceptor.compute.request import Decoding
from preceptor.evaluation.evaluate import Checkpoint, Engines, Evaluated, evaluate
from preceptor.lake.folders import fetch
from preceptor.lake.schemas import TUNED_CHECKPOINT
from preceptor.lake.store import Lake, NotMaterializedError
from preceptor.study.evaluation import Checkers, Judge, Pairwise
from preceptor.study.fields import Sampling
from resources.gpu import claim_gpus
from resources.model import hold

if TYPE_CHECKING:
    from preceptor.compute.generation import TransformersGenerator
    from preceptor.compute.reward import RewardScorer


class EvaluationResource(dg.ConfigurableResource):
    """How this machine evaluates. None of these settings changes a row."""

    device: str = "auto"
    batch_size: int = 64
    tokens_per_batch: int = 8192
    rows_per_commit: int = 512

    def evaluate(self, lake: Lake, run: str, evaluation: Checkers | Pairwise) -> Evaluated:
        """Complete a (run, benchmark) partition of `eval_results` and `eval_scores`."""
        found = lake.read(TUNED_CHECKPOINT, {"run": run})
        if found.is_empty():
            raise NotMaterializedError(f"run {run!r} is not tuned yet: materialize `tuned_checkpoint` for it")
        tuned = found.row(0, named=True)
        checkpoint = Checkpoint(tuned["fingerprint"], lambda: str(fetch(lake, tuned["uri"])))
        engines = Engines(self._generator, self._judge)
        return evaluate(lake, run, evaluation, checkpoint, engines, self.rows_per_commit)

    def _generator(self, folder: str, sampling: Sampling) -> "TransformersGenerator":
        claim_gpus(self.device)
        from preceptor.compute.generation import TransformersGenerator

        decoding = Decoding(**sampling.model_dump(exclude={"n", "seed"}))
        return TransformersGenerator(
            folder, decoding=decoding, device=self.device, batch_size=self.batch_size
        )

    def _judge(self, judge: Judge) -> "RewardScorer":
        claim_gpus(self.device)
        from preceptor.compute.reward import RewardScorer

        settings = judge.model_dump(exclude={"name"})
        options = {"device": self.device, "tokens_per_batch": self.tokens_per_batch}
        return hold((judge, *options.values()), lambda: RewardScorer(**settings, **options))
