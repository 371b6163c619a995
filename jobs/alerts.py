"""The sensor `alerts`: reports runs that ended since its last tick, to the log and a webhook."""

import logging
import os
import time

import dagster as dg

from jobs.finished_runs import finished_runs, newest_ending
from jobs.instance import assets_of
from preceptor.alerts.alert import Alert, message
from preceptor.alerts.runs import FinishedRun
from preceptor.alerts.state import State
from preceptor.alerts.watch import examine_ranking, examine_runs
from preceptor.alerts.webhook import WebhookError, deliver, post, webhook_address
from preceptor.lake.store import LakeError
from preceptor.study.load import StudyError, read_study, study_path
from resources.lake import LakeResource

log = logging.getLogger("preceptor.alerts")
CAR_TABLE = dg.AssetKey("car_table")
RESPONSES = dg.AssetKey("responses")
ROWS = {dg.AssetKey("rewards"), dg.AssetKey("base_losses")}
PATIENCE = 3600.0  # seconds: then a ranking is reported even if a reward or loss is still in progress
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports failed runs, failed checks and new best teachers to the log and PRECEPTOR_WEBHOOK.",
)
def alerts(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """Find new alerts, log them and send them. The first tick ignores runs that ended before it."""
    state = State.parse(context.cursor) if context.cursor else State(after=newest_ending(context.instance))
    runs, after = finished_runs(context.instance, state.after)
    found, state = examine_runs(state.having(after=after), runs, _mend())
    known, words = state.announced, []
    try:
        if not state.ranking_due or ranking_settled(context.instance, state.ranking):
            ranking, state = examine_ranking(state, lake.open(), _whole())
            found += ranking
        else:
            words.append("the newest ranking waits for rewards or losses")
        words += [f"the best teacher for {b} is {t}" for b, t in state.announced.items() if b not in known]
    except LakeError as error:  # the ranking stays due; the other alerts are sent
        words.append(str(error))
    for alert in found:
        log.warning("%s", alert.text)
        context.log.warning(alert.text)
    state, delivery = _delivered(state, found, lake.study)
    words = [f"alerts: {len(found)}, ended runs: {len(runs)}", *words, *delivery]
    return dg.SensorResult(skip_reason="; ".join(words), cursor=state.model_dump_json())


def _whole() -> bool:
    """Whether the study and all its teacher files can be read."""
    try:
        return not read_study(study_path()).left_out
    except StudyError:
        return False


def _delivered(state: State, found: list[Alert], study: str) -> tuple[State, list[str]]:
    """Send alerts. Without a webhook, new alerts are only logged, and earlier ones wait for a webhook."""
    try:
        address = webhook_address(os.environ)
    except WebhookError as error:
        state = state.awaiting(found)
        return state, [str(error), *_waiting(state)]
    if address is None:
        return state, _waiting(state)
    state, problem = deliver(state.awaiting(found), lambda alert: post(address, message(alert, study)))
    return state, [*([problem] if problem else []), *_waiting(state)]


def _waiting(state: State) -> list[str]:
    dropped = f", {state.dropped} were dropped" if state.dropped else ""
    return [f"{len(state.pending)} wait for the webhook{dropped}"] if state.pending else []


def _mend() -> str:
    command = f"`make study STUDY={os.environ.get('PRECEPTOR_STUDY')}`"
    return f"Committed rows are kept. To resume, run {command} or click Re-execute in the UI"


def ranking_settled(instance: dg.DagsterInstance, newest: FinishedRun | None = None) -> bool:
    """Whether to report the ranking: no reward or loss is in progress or newer, or it is an hour old.

    While a study is scored again, a teacher that is not scored yet would be reported as lost. If the `newest`
    run found nothing to rank, responses must be finished too, without a time limit: a step that hangs or
    fails causes its own alert.
    """
    if newest is not None and CAR_TABLE.to_user_string() in newest.unmade:
        return _quiet(instance, newest.id, {*ROWS, RESPONSES})
    ranking = instance.get_latest_materialization_event(CAR_TABLE)
    if ranking is None or time.time() - ranking.timestamp > PATIENCE:
        return True
    return _quiet(instance, ranking.run_id, ROWS)


def _quiet(instance: dg.DagsterInstance, run_id: str, assets: set[dg.AssetKey]) -> bool:
    """Whether none of these assets is in progress or was materialized since that run began."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if any(assets & assets_of(run) for run in unfinished):
        return False
    record = instance.get_run_record_by_id(run_id)
    began = None if record is None else record.start_time
    newest = [instance.get_latest_materialization_event(key) for key in assets]
    return began is None or all(rows is None or rows.timestamp <= began for rows in newest)
