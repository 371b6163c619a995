"""Sensors: added and removed teachers and bases, automatic materializations, and killed runs."""

import time

import dagster as dg

from assets.car_table import car_beta_sweep, car_table
from assets.study import PARTITIONS, STUDY
from assets.study_report import study_report
from assets.suitability import suitability
from jobs.instance import partition_changes, present, release_dead_runs
from jobs.slots import held
from preceptor.lake.schemas import CAR_TABLE
from preceptor.study.changes import Change, Seen, needs_reload
from preceptor.study.load import read_study, study_path
from preceptor.text import digest
from resources.lake import LakeResource

SECONDS = 30
RANKING = [car_table.key, car_beta_sweep.key, suitability.key, study_report.key]
Requests = list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]

automation = dg.AutomationConditionSensorDefinition(
    "automation",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=SECONDS // 2,
    emit_backfills=False,  # one run per partition, so that a run that never ends blocks no other
)


@dg.sensor(
    target=dg.AssetSelection.assets(*RANKING),
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def study_members(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """Reads the study and teacher files again, and adds or deletes the partitions of teachers and bases.

    Rows are kept. If one was removed, the ranking runs again, since no new row would trigger it.
    """
    read = read_study(study_path())
    outdated = needs_reload(STUDY, read.study)
    if "name" in outdated:
        told = f"the study's name is {read.study.name!r} now, not {STUDY.name!r}: reload the code location"
        return dg.SensorResult(skip_reason=told)
    changes = partition_changes(context.instance, read)
    before = _before(context, lake)
    now = before.next(read.study, read.left_out)
    rank = now.counter > before.counter and _has_ranking(context.instance)
    broken = [sentence for sentence in now.left_out if sentence not in before.left_out]
    for sentence in broken:
        context.log.warning(sentence)
    news = [f"{key} changed: reload the code location" for key in outdated]
    news += [sentence for changed in changes for sentence in changed.sentences()]
    for sentence in news:
        context.log.info(sentence)
    news = [*broken, *_said_before(len(now.left_out) - len(broken)), *news]
    return dg.SensorResult(
        run_requests=[dg.RunRequest(digest(now.text()), asset_selection=RANKING)] if rank else [],
        skip_reason=None if rank else "\n".join(news) or "no teacher or base joined or left the study",
        dynamic_partitions_requests=[request for changed in changes for request in _requests(changed)],
        cursor=now.text(),
    )


@dg.sensor(
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process on this machine was killed, and lists the runs that hold a slot.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Free the slots of a killed `make study`; otherwise queued runs would wait forever."""
    ended = release_dead_runs(context.instance)
    for sentence in ended:
        context.log.warning(sentence)
    return dg.SkipReason("\n".join([*ended, *held(context.instance)]) or "no run holds a slot")


def _said_before(files: int) -> list[str]:
    """The number of files reported before. The daemon logs every tick, so their problems are not repeated."""
    if not files:
        return []
    count = "1 teacher file is" if files == 1 else f"{files} teacher files are"
    return [f"{count} still left out: see an earlier tick or run `make check`"]


def _before(context: dg.SensorEvaluationContext, lake: LakeResource) -> Seen:
    """What the last tick found; on the first tick, the members that have a partition or are ranked.

    The counter then begins at the current time, so that no earlier run has the same run key.
    """
    if context.cursor:
        return Seen.of_text(context.cursor)
    keys, ranked = present(context.instance, STUDY), lake.open().read(CAR_TABLE)
    teachers, bases = {*keys["teachers"], *ranked["teacher"]}, {*keys["bases"], *ranked["base"]}
    return Seen(tuple(sorted(teachers)), tuple(sorted(bases)), whole=True, counter=time.time_ns())


def _has_ranking(instance: dg.DagsterInstance) -> bool:
    return instance.get_latest_materialization_event(car_table.key) is not None


def _requests(changed: Change) -> Requests:
    partitions = PARTITIONS[changed.kind]
    add: Requests = [partitions.build_add_request(list(changed.joined))] if changed.joined else []
    return add + ([partitions.build_delete_request(list(changed.left))] if changed.left else [])
