"""The engines that give a teacher's responses: `recorded` and `transformers`; each further one is a case."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.responses.generate import generate_responses
from preceptor.responses.recorded import RecordingCount, collect_recorded
from preceptor.study.schema import RecordedTeacher, TransformersTeacher

if TYPE_CHECKING:
    from preceptor.compute.generation import TransformersGenerator


class GenerationResource(dg.ConfigurableResource):
    """How this machine generates. None of these settings changes a row."""

    device: str = "auto"
    batch_size: int = 64
    rows_per_commit: int = 256

    def respond(
        self, lake: Lake, teacher: RecordedTeacher | TransformersTeacher, instructions: pl.DataFrame
    ) -> tuple[Outcome, RecordingCount | None]:
        """Complete a teacher's partition of `responses`; recordings also give an account of their rows."""
        match teacher:
            case RecordedTeacher():
                return collect_recorded(lake, teacher, instructions)
            case TransformersTeacher():
                return generate_responses(lake, teacher, instructions, self._load, self.rows_per_commit), None

    def _load(self, teacher: TransformersTeacher) -> "TransformersGenerator":
        from preceptor.compute.generation import Decoding, TransformersGenerator

        return TransformersGenerator(
            decoding=Decoding(**teacher.sampling.model_dump(exclude={"n", "seed"})),
            device=self.device,
            batch_size=self.batch_size,
            **teacher.model_dump(include={"model", "revision", "dtype", "prompt_format", "max_length"}),
        )
