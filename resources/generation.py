"""A teacher's responses: recorded ones are read, others come from the teacher's engine."""

import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.responses.generate import generate_responses
from preceptor.responses.recorded import RecordingCount, collect_recorded
from preceptor.study.teachers import AnyTeacher, RecordedTeacher
from resources.engines import GeneratingResource


class GenerationResource(GeneratingResource):
    """How this machine generates teachers' responses."""

    def respond(
        self, lake: Lake, teacher: AnyTeacher, instructions: pl.DataFrame, lost_rows: float
    ) -> tuple[Outcome, RecordingCount | None]:
        """Complete a teacher's partition of `responses`; recordings also give an account of their rows.

        Of a recording at most the share `lost_rows` may be unreadable.
        """
        if isinstance(teacher, RecordedTeacher):
            return collect_recorded(lake, teacher, instructions, lost_rows)
        outcome = generate_responses(lake, teacher, instructions, self.load_teacher, self.retry_failed)
        return outcome, None
