"""The runs that ended since a point of Dagster's event log, with the results of their checks and steps."""

import time
from collections.abc import Iterator, Sequence

import dagster as dg

from assets.failures import error_sentence
from jobs.instance import RETRIED, unfinished
from preceptor.alerts.runs import CheckOutcome, FinishedRun

Event = dg.DagsterEventType
ENDINGS = (Event.RUN_SUCCESS, Event.RUN_FAILURE, Event.RUN_CANCELED)
TELLING = {
    Event.ASSET_MATERIALIZATION_PLANNED,
    Event.ASSET_MATERIALIZATION,
    Event.ASSET_CHECK_EVALUATION,
    Event.STEP_FAILURE,
    Event.RUN_FAILURE,
}
PAGE = 100
SETTLED = 5.0  # seconds: events of two processes may become visible in another order than their numbers
RETRIED_WITHIN = 60.0  # seconds: the daemon looks for failed runs every five seconds, and may miss one
BLOCKED = "DagsterAssetCheckFailedError"  # the failed check is reported already
REFUSED = "FailingTeacherError"  # the check `responses.failure_rate` is reported already
STOPPED = "DagsterExecutionInterruptedError"  # has no message


def newest_ending(instance: dg.DagsterInstance) -> int:
    """The number of the last event that ended a run; -1 if there is none."""
    records = [
        record for ending in ENDINGS for record in instance.fetch_run_status_changes(ending, 1).records
    ]
    return max((record.storage_id for record in records), default=-1)


def finished_runs(instance: dg.DagsterInstance, after: int) -> tuple[list[FinishedRun], int]:
    """Runs that ended after the event number `after`, in order, and the number of the last such event."""
    found = list(_endings(instance, after))
    runs = [_finished(instance, record) for record in found]
    return [run for run in runs if run is not None], found[-1].storage_id if found else after


def _endings(instance: dg.DagsterInstance, after: int) -> Iterator[dg.EventLogRecord]:
    """Endings in order, up to the end of the first full page: later ones of that kind are not known yet."""
    pages = [
        instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(ending, after_storage_id=after), PAGE, ascending=True
        ).records
        for ending in ENDINGS
    ]
    known = min((page[-1].storage_id for page in pages if len(page) == PAGE), default=None)
    now = time.time()
    for record in sorted((record for page in pages for record in page), key=lambda record: record.storage_id):
        if _fresh(instance, record, now) or (known is not None and record.storage_id > known):
            return
        yield record


def _fresh(instance: dg.DagsterInstance, ending: dg.EventLogRecord, now: float) -> bool:
    """Whether it is too early to report an ending. An ending in the future, by a wrong clock, is reported."""
    age = now - ending.timestamp
    if not 0 <= age < RETRIED_WITHIN:
        return False
    return age < SETTLED or (ending.event_type == Event.RUN_FAILURE and unfinished(instance, ending.run_id))


def _finished(instance: dg.DagsterInstance, ending: dg.EventLogRecord) -> FinishedRun | None:
    run = instance.get_run_by_id(ending.run_id)
    if run is None:  # deleted by a person
        return None
    events = instance.get_records_for_run(run.run_id, of_type=TELLING).records
    partition = run.tags.get("dagster/partition")
    made = _assets(events, Event.ASSET_MATERIALIZATION)
    failed = ending.event_type == Event.RUN_FAILURE
    checks = tuple(_checks(events, partition))
    return FinishedRun(
        id=run.run_id,
        partition=partition,
        checks=checks,
        failures=tuple(_failures(events)) if failed else (),
        unmade=tuple(
            asset for asset in _assets(events, Event.ASSET_MATERIALIZATION_PLANNED) if asset not in made
        ),
        ranked="car_table" in made or any(check.asset == "car_table" for check in checks),
        asked_again=RETRIED in run.tags,
        told_by=_told_by(events, run.tags.get("dagster/partition/teacher")),
    )


def _assets(events: Sequence[dg.EventLogRecord], kind: dg.DagsterEventType) -> list[str]:
    keys = [event.asset_key for event in events if event.event_type == kind]
    return list(dict.fromkeys(key.to_user_string() for key in keys if key is not None))


def _checks(events: Sequence[dg.EventLogRecord], partition: str | None) -> Iterator[CheckOutcome]:
    """Check results. Dagster stores no partition for a check inside its asset, so the run's is used."""
    for event in events:
        evaluation = event.event_log_entry.asset_check_evaluation
        if evaluation is not None:
            yield CheckOutcome(
                evaluation.asset_key.to_user_string(),
                evaluation.partition or partition,
                evaluation.check_name,
                evaluation.passed,
                evaluation.description or "",
            )


def _told_by(events: Sequence[dg.EventLogRecord], teacher: str | None) -> str | None:
    """The responses check that explains the failure, if a step refused a failing teacher's responses."""
    errors = [step.get_dagster_event().step_failure_data.error for step in _failed_steps(events)]
    refused = any(error and error.cause and error.cause.cls_name == REFUSED for error in errors)
    return CheckOutcome("responses", teacher, "failure_rate", False, "").place if refused else None


def _failures(events: Sequence[dg.EventLogRecord]) -> Iterator[str]:
    """Why the steps failed; if no step did (a killed process, a failed start), why the run failed."""
    steps = _failed_steps(events)
    for step in steps:
        error = step.get_dagster_event().step_failure_data.error
        if error is None:
            yield f"{step.step_key} failed"
        elif error.cls_name == STOPPED:
            yield "it was stopped, by Ctrl-C or with its machine"
        elif error.cls_name != BLOCKED:
            yield error_sentence((error.cause or error).message)
    if not steps:
        yield from (
            event.event_log_entry.get_dagster_event().message or "failed"
            for event in events
            if event.event_type == Event.RUN_FAILURE
        )


def _failed_steps(events: Sequence[dg.EventLogRecord]) -> list[dg.EventLogEntry]:
    return [event.event_log_entry for event in events if event.event_type == Event.STEP_FAILURE]
