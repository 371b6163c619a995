"""Evaluate a tuned model or an untuned base: an engine answers; a program or a judge scores the answers."""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import field_validator

from preceptor.evaluation.evaluate import Evaluated, evaluate
from preceptor.evaluation.job import Checkpoint, Engines, EvaluationJob, Judge
from preceptor.lake.folders import fetch
from preceptor.lake.schemas import TUNED_CHECKPOINT
from preceptor.lake.store import Lake, NotMaterializedError
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.judges import AskedJudge
from preceptor.study.schema import Base
from preceptor.study.untuned import untuned_name
from resources.engines import ENGINES, GeneratingResource, load_classifier
from resources.gpu import claim_gpus
from resources.model import hold, let_go

if TYPE_CHECKING:
    from preceptor.compute.loss import LossScorer


class EvaluationResource(GeneratingResource):
    """Settings for evaluating on this machine. Tuned models and untuned bases run on `engine`."""

    engine: str = "transformers"
    tokens_per_batch: int = 8192
    rows_at_once: int = 64

    @field_validator("engine")
    @classmethod
    def _runs_folders(cls, value: str) -> str:
        known = [name for name, engine in ENGINES.items() if engine.runs_folders]
        if value not in known:
            raise ValueError(
                f"engine {value!r} cannot run a model from a local folder: set one of {', '.join(known)}"
            )
        return value

    def evaluate(self, lake: Lake, run: str, base: Base, evaluation: AnyEvaluation) -> Evaluated:
        """Complete a (run, benchmark) partition of `eval_results`, its scores and its judgments."""
        found = lake.read(TUNED_CHECKPOINT, {"run": run})
        if found.is_empty():
            raise NotMaterializedError(f"run {run!r} is not tuned yet: materialize `tuned_checkpoint` for it")
        tuned = found.row(0, named=True)
        checkpoint = Checkpoint(tuned["fingerprint"], base, lambda: str(fetch(lake, tuned["uri"])))
        return self._evaluated(lake, run, checkpoint, evaluation)

    def evaluate_untuned(self, lake: Lake, base: Base, evaluation: AnyEvaluation) -> Evaluated:
        """Complete the partition of an untuned base for a benchmark."""
        from preceptor.tuning.untuned import untuned_fingerprint, untuned_folder

        fingerprint = untuned_fingerprint(base)
        checkpoint = Checkpoint(fingerprint, base, lambda: str(untuned_folder(lake, base)), untuned=True)
        return self._evaluated(lake, untuned_name(base.name), checkpoint, evaluation)

    def _evaluated(
        self, lake: Lake, run: str, checkpoint: Checkpoint, evaluation: AnyEvaluation
    ) -> Evaluated:
        engines = self._engines(checkpoint.base)
        return evaluate(
            EvaluationJob(lake, run, evaluation, checkpoint, engines, self.rows_at_once, self.retry_failed)
        )

    def _engines(self, base: Base) -> Engines:
        return Engines(
            partial(self.load_student, self.engine, base),
            partial(load_classifier, device=self.device, tokens_per_batch=self.tokens_per_batch),
            self._asked,
            self._losses,
            self._make_room,
            self.device,
            self.batch_size,
        )

    def _make_room(self) -> None:
        let_go()
        claim_gpus(self.device)

    def _asked(self, judge: AskedJudge) -> Judge:
        from preceptor.judging.judge import EndpointJudge

        return EndpointJudge(judge)

    def _losses(self, base: Base, folder: str | None) -> "LossScorer":
        claim_gpus(self.device)
        from preceptor.compute.loss import LossScorer

        settings = base.model_dump(exclude={"name", "family", "size_billions"}) | {"unconditional": False}
        if folder is not None:
            settings |= {"model": folder, "revision": "main"}
        options = {"device": self.device, "tokens_per_batch": self.tokens_per_batch}
        return hold((base, folder, *options.values()), lambda: LossScorer(**settings, **options))
