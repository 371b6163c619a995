"""The engines that give a teacher's responses: `recorded`, `transformers`, `vllm` and `openai`."""

import dagster as dg
import polars as pl

from preceptor.compute.request import Decoding, Generator
from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.responses.generate import generate_responses
from preceptor.responses.recorded import RecordingCount, collect_recorded
from preceptor.study.teachers import (
    AnyTeacher,
    GeneratingTeacher,
    OpenAITeacher,
    RecordedTeacher,
    TransformersTeacher,
    VllmTeacher,
)
from resources.gpu import claim_gpus
from resources.model import let_go

MODEL = {"model", "revision", "dtype", "prompt_format", "prompt_date", "max_length"}
VLLM = MODEL | {"quantization", "adapter", "tensor_parallel_size"}


class GenerationResource(dg.ConfigurableResource):
    """How this machine generates. None of these settings changes a row, beyond rounding.

    `retry_failed` asks again for rows that carry an error.
    vLLM takes `memory_share` of each GPU; it counts as dead after `silent_seconds` without a sign of life.
    """

    device: str = "auto"
    batch_size: int = 64
    retry_failed: bool = False
    memory_share: float = 0.9
    prefix_caching: bool = True
    enforce_eager: bool = False
    start_seconds: float = 1800.0
    silent_seconds: float = 600.0

    def respond(
        self, lake: Lake, teacher: AnyTeacher, instructions: pl.DataFrame, lost_rows: float
    ) -> tuple[Outcome, RecordingCount | None]:
        """Complete a teacher's partition of `responses`; recordings also give an account of their rows.

        Of a recording at most the share `lost_rows` may be unreadable.
        """
        if isinstance(teacher, RecordedTeacher):
            return collect_recorded(lake, teacher, instructions, lost_rows)
        outcome = generate_responses(lake, teacher, instructions, self._load, self.retry_failed)
        return outcome, None

    def _load(self, teacher: GeneratingTeacher) -> Generator:
        decoding = Decoding(**teacher.sampling.model_dump(exclude={"n", "seed"}))
        match teacher:
            case TransformersTeacher():
                claim_gpus(self.device)
                from preceptor.compute.generation import TransformersGenerator

                settings = teacher.model_dump(include=MODEL)
                return TransformersGenerator(
                    **settings, decoding=decoding, device=self.device, batch_size=self.batch_size
                )
            case VllmTeacher():
                from preceptor.engines.vllm_generator import Machine, VllmGenerator

                let_go()
                claim_gpus(self.device, teacher.tensor_parallel_size)
                machine = Machine(
                    self.memory_share,
                    self.prefix_caching,
                    self.enforce_eager,
                    self.start_seconds,
                    self.silent_seconds,
                )
                return VllmGenerator(**teacher.model_dump(include=VLLM), decoding=decoding, machine=machine)
            case OpenAITeacher():
                from preceptor.endpoint.generator import EndpointGenerator

                return EndpointGenerator(teacher, decoding)
