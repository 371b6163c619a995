"""The sensor `alerts`: what should be told of the runs that ended since its last tick, to log and webhook."""

import logging
import os

import dagster as dg

from jobs.finished_runs import finished_runs, newest_ending
from jobs.settled_ranking import ranking_settled
from preceptor.alerts.alert import Alert, message
from preceptor.alerts.state import State
from preceptor.alerts.watch import examine_ranking, examine_runs
from preceptor.alerts.webhook import WebhookError, deliver, post, webhook_address
from preceptor.lake.store import LakeError
from preceptor.study.load import StudyError, read_study, study_path
from resources.lake import LakeResource

log = logging.getLogger("preceptor.alerts")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Failed runs and checks, and a base's new best teacher: to log and PRECEPTOR_WEBHOOK.",
)
def alerts(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """Look at what is new, log it, deliver it. Without a cursor, what ended before now is not news."""
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
    except LakeError as error:  # it stays due, and nothing else waits for it
        words.append(str(error))
    for alert in found:
        log.warning("%s", alert.text)
        context.log.warning(alert.text)
    state, delivery = _delivered(state, found, lake.study)
    words = [f"alerts: {len(found)}, ended runs: {len(runs)}", *words, *delivery]
    return dg.SensorResult(skip_reason="; ".join(words), cursor=state.model_dump_json())


def _whole() -> bool:
    """Whether the study can be read with all of its teacher files."""
    try:
        return not read_study(study_path()).left_out
    except StudyError:
        return False


def _delivered(state: State, found: list[Alert], study: str) -> tuple[State, list[str]]:
    """Without a webhook new alerts are in the log only; older ones wait for it to be set again."""
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
    again = f"`make study STUDY={os.environ.get('PRECEPTOR_STUDY')}`, or Re-execute in the UI,"
    return f"What is committed stays: {again} goes on from there"
