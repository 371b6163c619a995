"""Whether the newest ranking is one to tell of, or another one follows at once."""

import time

import dagster as dg

from jobs.instance import assets_of

CAR_TABLE = dg.AssetKey("car_table")
ROWS = {dg.AssetKey("rewards"), dg.AssetKey("base_losses")}
PATIENCE = 3600.0  # seconds: what is computed may hang, and a ranking be nobody's wish
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def ranking_settled(instance: dg.DagsterInstance) -> bool:
    """No reward or loss is being computed, and none came since the ranking began; or it is an hour old.

    While a study is scored anew, a teacher whose turn is still to come would be told as lost.
    """
    ranking = instance.get_latest_materialization_event(CAR_TABLE)
    if ranking is None or time.time() - ranking.timestamp > PATIENCE:
        return True
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if any(ROWS & assets_of(run) for run in unfinished):
        return False
    record = instance.get_run_record_by_id(ranking.run_id)
    began = None if record is None else record.start_time
    newest = [instance.get_latest_materialization_event(key) for key in ROWS]
    return began is None or all(rows is None or rows.timestamp <= began for rows in newest)
