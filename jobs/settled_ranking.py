"""Whether the newest ranking is one to tell of, or another one follows at once."""

import time

import dagster as dg

from jobs.instance import assets_of
from preceptor.alerts.runs import FinishedRun

CAR_TABLE = dg.AssetKey("car_table")
RESPONSES = dg.AssetKey("responses")
ROWS = {dg.AssetKey("rewards"), dg.AssetKey("base_losses")}
PATIENCE = 3600.0  # seconds: what is computed may hang, and a ranking be nobody's wish
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def ranking_settled(instance: dg.DagsterInstance, newest: FinishedRun | None = None) -> bool:
    """No reward or loss is being computed, and none came since the ranking began; or it is an hour old.

    While a study is scored anew, a teacher whose turn is still to come would be told as lost. Where the
    `newest` found nothing to rank, answers may still be on their way too, and patience has no end: whatever
    hangs or fails is told of itself.
    """
    if newest is not None and CAR_TABLE.to_user_string() in newest.unmade:
        return _quiet(instance, newest.id, {*ROWS, RESPONSES})
    ranking = instance.get_latest_materialization_event(CAR_TABLE)
    if ranking is None or time.time() - ranking.timestamp > PATIENCE:
        return True
    return _quiet(instance, ranking.run_id, ROWS)


def _quiet(instance: dg.DagsterInstance, run_id: str, assets: set[dg.AssetKey]) -> bool:
    """None of these assets is being made, and none was since that run began."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if any(assets & assets_of(run) for run in unfinished):
        return False
    record = instance.get_run_record_by_id(run_id)
    began = None if record is None else record.start_time
    newest = [instance.get_latest_materialization_event(key) for key in assets]
    return began is None or all(rows is None or rows.timestamp <= began for rows in newest)
