"""`responses`: each teacher's responses."""

import dagster as dg
import polars as pl

from assets import checks
from assets.automation import when_data_changed
from assets.failures import told
from assets.metadata import distribution, listed, materialized
from assets.raw_instructions import raw_instructions
from assets.study import STUDY, teachers
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES
from preceptor.responses.recorded import RecordingCount
from preceptor.study.teachers import RecordedTeacher
from resources.generation import GenerationResource
from resources.lake import LakeResource


@dg.asset(
    partitions_def=teachers,
    deps=[raw_instructions],
    group_name="collect",
    kinds={"deltalake", "transformers"},
    pool="gpu",
    automation_condition=when_data_changed(),
    check_specs=[
        checks.spec("responses", "read_whole", "Every row of a recording was read in full"),
        checks.spec("responses", "completeness", "Nearly all instructions have a row"),
        checks.spec("responses", "unique_keys", "One row per instruction and sample", blocking=True),
        checks.spec("responses", "failure_rate", "Few responses failed", blocking=True),
        checks.spec("responses", "truncated", "Few responses were cut at the token limit"),
    ],
)
@told
def responses(
    context: dg.AssetExecutionContext, lake: LakeResource, generation: GenerationResource
) -> dg.MaterializeResult:
    """Each teacher's responses to every instruction, either read from a recording or generated here.

    A row is one sample: its assistant turns, finish reason and token counts, or an error.
    """
    teacher = STUDY.teacher(context.partition_key)
    declared = teacher.model_dump(mode="json", exclude_none=True)
    versions = lake.open().versions(RAW_INSTRUCTIONS)
    store = lake.open().made_from(versions, declared)
    instructions = store.read(RAW_INSTRUCTIONS, version=versions["raw_instructions"])
    outcome, recording = generation.respond(store, teacher, instructions, STUDY.limits.lost_rows)
    unanswered = instructions.join(outcome.rows, on="instruction_id", how="anti")
    missing = unanswered.select(pl.format("{} ({})", "place", "instruction_id"))["place"].to_list()
    why = "" if recording is None else recording.unanswered()
    expected = instructions.height * (1 if isinstance(teacher, RecordedTeacher) else teacher.sampling.n)
    failed = checks.failure_rate(outcome.rows, STUDY.limits)
    return materialized(
        store,
        outcome,
        read=versions,
        checks=[
            _read_whole(recording),
            checks.completeness(expected, expected - len(missing), missing, STUDY.limits, why),
            checks.unique_keys(RESPONSES, outcome.rows),
            # A failing teacher blocks, unlike a missing score: fix it before anything is computed from it.
            failed._replace(severity=dg.AssetCheckSeverity.ERROR),
            checks.truncated(outcome.rows, STUDY.limits),
        ],
        plot=lambda: distribution(
            outcome.rows["turns"].list.join("").str.len_chars(), "characters of a response"
        ),
        teacher=declared,
        empty_responses=_empty(outcome.rows),
        **({} if recording is None else _account(recording)),
    )


def _read_whole(recording: RecordingCount | None) -> dg.AssetCheckResult:
    if recording is None:
        return checks.read_whole([])
    return checks.read_whole(list(recording.losses()), list(recording.remarks()))


def _empty(rows: pl.DataFrame) -> int:
    texts = rows.select(pl.col("turns").list.join("").str.strip_chars())["turns"]
    return int((texts == "").sum())


def _account(recording: RecordingCount) -> dict[str, dg.MetadataValue | int]:
    return {
        "recording_rows": recording.read,
        "recording_joined_without_system_prompt": recording.without_system,
        "recording_unmatched": sum(recording.unmatched.values()),
        "recording_unmatched_rows": dg.MetadataValue.md(listed(recording.places)),
    }
