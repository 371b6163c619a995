"""Turns the events since the last tick into alerts."""

from collections.abc import Sequence

from preceptor.alerts.alert import Alert
from preceptor.alerts.best_teacher import best_teacher_alert, best_teacher_changes
from preceptor.alerts.runs import FinishedRun, check_alerts, run_alerts
from preceptor.alerts.state import State
from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.store import Lake


def examine_runs(state: State, runs: Sequence[FinishedRun], mend: str) -> tuple[list[Alert], State]:
    """Alerts of finished runs, in order. `mend` tells how to repair a failed run.

    The checks of the newest ranking are kept for `examine_ranking`.
    """
    alerts: list[Alert] = []
    for run in runs:
        if run.ranked:
            run, ranking = run.without(CAR_TABLE.name)
            state = state.having(ranking_due=True, ranking=ranking)
        found, standing = check_alerts(state.standing, run)
        alerts += [*found, *(run_alerts(run, mend) if run.told_by not in standing else ())]
        state = state.having(standing=standing)
    return alerts, state


def examine_ranking(state: State, lake: Lake, whole: bool = True) -> tuple[list[Alert], State]:
    """Alerts of the newest CAR table, if it is new since the last call. Raises LakeError."""
    if not state.ranking_due:
        return [], state
    version = lake.version(CAR_TABLE)
    table = lake.read(CAR_TABLE, version=version)
    alerts, standing = check_alerts(state.standing, state.ranking) if state.ranking else ([], state.standing)
    if version is None:
        return alerts, state.having(ranking_due=False, ranking=None, standing=standing)
    changes, announced = best_teacher_changes(state.announced, table, whole)
    alerts += [best_teacher_alert(change, version) for change in changes]
    return alerts, state.having(ranking_due=False, ranking=None, standing=standing, announced=announced)
