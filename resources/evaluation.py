"""The engines that evaluate a tuned model or an untuned base: one answers; a program or a judge decides."""

from functools import partial
from typing import TYPE_CHECKING, Literal

import dagster as dg

from preceptor.compute.request import Decoding, Generator
from preceptor.evaluation.evaluate import Evaluated, evaluate
from preceptor.evaluation.job import Checkpoint, Engines, EvaluationJob, Judge
from preceptor.lake.folders import fetch
from preceptor.lake.schemas import TUNED_CHECKPOINT
from preceptor.lake.store import Lake, NotMaterializedError
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.fields import Sampling
from preceptor.study.judges import AskedJudge, ClassifierJudge
from preceptor.study.schema import Base
from preceptor.study.untuned import untuned_name
from resources.gpu import claim_gpus
from resources.model import hold, let_go

if TYPE_CHECKING:
    from preceptor.compute.loss import LossScorer
    from preceptor.compute.reward import RewardScorer


class EvaluationResource(dg.ConfigurableResource):
    """How this machine evaluates. None of these settings changes a row, beyond rounding.

    `retry_failed` tries again what carries an error. Tuned models answer by `engine`; vLLM takes
    `memory_share` of each GPU.
    """

    engine: Literal["transformers", "vllm"] = "transformers"
    device: str = "auto"
    batch_size: int = 64
    tokens_per_batch: int = 8192
    rows_at_once: int = 64
    retry_failed: bool = False
    memory_share: float = 0.9
    enforce_eager: bool = False

    def evaluate(self, lake: Lake, run: str, base: Base, evaluation: AnyEvaluation) -> Evaluated:
        """Complete a (run, benchmark) partition of `eval_results` and what belongs to it."""
        found = lake.read(TUNED_CHECKPOINT, {"run": run})
        if found.is_empty():
            raise NotMaterializedError(f"run {run!r} is not tuned yet: materialize `tuned_checkpoint` for it")
        tuned = found.row(0, named=True)
        checkpoint = Checkpoint(tuned["fingerprint"], base, lambda: str(fetch(lake, tuned["uri"])))
        return self._evaluated(lake, run, checkpoint, evaluation)

    def evaluate_untuned(self, lake: Lake, base: Base, evaluation: AnyEvaluation) -> Evaluated:
        """Complete the partition of a base that is evaluated as it was before any tuning."""
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
            partial(self._generator, base),
            self._classifier,
            self._asked,
            self._losses,
            self._make_room,
            self.device,
            self.batch_size,
        )

    def _generator(self, base: Base, folder: str, sampling: Sampling, prompt_format: str) -> Generator:
        decoding = Decoding(**sampling.model_dump(exclude={"n", "seed"}))
        same = base.model_dump(include={"dtype", "prompt_date", "max_length"})
        model = {"prompt_format": prompt_format, **same}
        if self.engine == "vllm":
            from preceptor.engines.vllm_generator import Machine, VllmGenerator

            let_go()
            claim_gpus(self.device)
            machine = Machine(self.memory_share, enforce_eager=self.enforce_eager)
            plain = {"revision": "main", "quantization": None, "adapter": None, "tensor_parallel_size": 1}
            return VllmGenerator(folder, **model, **plain, decoding=decoding, machine=machine)
        claim_gpus(self.device)
        from preceptor.compute.generation import TransformersGenerator

        options = {"device": self.device, "batch_size": self.batch_size}
        return TransformersGenerator(folder, **model, decoding=decoding, **options)

    def _make_room(self) -> None:
        let_go()
        claim_gpus(self.device)

    def _classifier(self, judge: ClassifierJudge) -> "RewardScorer":
        claim_gpus(self.device)
        from preceptor.compute.reward import RewardScorer

        settings = judge.model_dump(exclude={"name", "engine"})
        options = {"device": self.device, "tokens_per_batch": self.tokens_per_batch}
        return hold((judge, *options.values()), lambda: RewardScorer(**settings, **options))

    def _asked(self, judge: AskedJudge) -> Judge:
        from preceptor.endpoint.questions import QuestionedJudge

        return QuestionedJudge(judge)

    def _losses(self, base: Base, folder: str | None) -> "LossScorer":
        claim_gpus(self.device)
        from preceptor.compute.loss import LossScorer

        settings = base.model_dump(exclude={"name", "family", "size_billions"}) | {"unconditional": False}
        if folder is not None:
            settings |= {"model": folder, "revision": "main"}
        options = {"device": self.device, "tokens_per_batch": self.tokens_per_batch}
        return hold((base, folder, *options.values()), lambda: LossScorer(**settings, **options))
