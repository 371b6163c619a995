"""Materialize one step in this process and describe the result in one line."""

import logging
import sys
import textwrap
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from assets.failures import error_sentence
from jobs.finished_runs import BLOCKED, STOPPED
from jobs.home import told
from jobs.instance import ASSET
from jobs.processes import process_tags
from jobs.receipts import fresh_inputs, fresh_state, listening, place_of
from jobs.steps import Step
from preceptor.unchanged.receipt import Receipt, remove_receipt, write_receipt
from preceptor.unchanged.state import State

REASON = 120  # characters shown of the reason why rows failed
INTERRUPTED = "stopped"
PROBLEMS = (dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR)


@dataclass(frozen=True)
class Result:
    """The result of one step, as plain text that a worker process can return."""

    step: Step
    outcome: str
    seconds: float
    failure: str | None = None
    interrupted: bool = False
    warnings: tuple[tuple[str, str], ...] = ()  # (check, description)


@dataclass(frozen=True)
class Facts:
    """The facts in a step's line, and its table's version; `reason` is the most frequent of failed rows."""

    computed: int
    kept: int
    failed: int = 0
    reason: str | None = None
    score: str | None = None
    version: int | None = None


def materialize(step: Step, instance: dg.DagsterInstance) -> Result:
    """Materialize the step's partition. A failure of the asset is returned, not raised.

    A step that succeeds writes a receipt, unless its inputs changed in the meantime. Raises HomeError if
    Dagster's own storage fails.
    """
    from assets.study import STUDY
    from definitions import defs

    started = time.monotonic()
    with told(instance.root_directory), listening() as heard:
        remove_receipt(place_of(step, instance))
        before = fresh_inputs(STUDY, step)
        result = dg.materialize(
            list(defs.assets or []),
            selection=[step.asset],
            partition_key=step.key,
            resources=dict(defs.resources or {}),
            instance=instance,
            raise_on_error=False,
            tags={**process_tags(), ASSET: step.asset},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    failure = None if result.success else _failure(result)
    warnings = _warnings(result, step)
    if result.success and not heard.warned:
        facts = _facts(result, step)
        after = fresh_state(STUDY, step, facts.version)
        if before is not None and after is not None and before == after.inputs:
            write_receipt(place_of(step, instance), _receipt(after, facts, warnings))
    return Result(
        step,
        _outcome(result, step) if result.success else "FAILED",
        time.monotonic() - started,
        failure,
        failure == INTERRUPTED,
        warnings,
    )


def _receipt(state: State, facts: Facts, warnings: tuple[tuple[str, str], ...]) -> Receipt:
    rows = facts.computed + facts.kept
    return Receipt(state, datetime.now(UTC), rows, facts.failed, facts.reason, facts.score, warnings)


def show_progress() -> None:
    """Print the log lines of preceptor/, indented below the steps."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("    %(message)s"))
    logging.getLogger("preceptor").addHandler(handler)
    logging.getLogger("preceptor").setLevel(logging.INFO)


def _warnings(result: dg.ExecuteInProcessResult, step: Step) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{step.asset}.{check.check_name}", f"{step}: {check.description}")
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity in PROBLEMS
    )


def _failure(result: dg.ExecuteInProcessResult) -> str:
    errors = [event.step_failure_data.error for event in result.get_step_failure_events()]
    causes = [error.cause or error for error in errors if error is not None]
    if any(cause.cls_name == BLOCKED for cause in causes):  # the checks' descriptions give the reason
        return _blocking(result)
    if any(cause.cls_name == STOPPED for cause in causes):
        return INTERRUPTED
    return "; ".join(error_sentence(cause.message) for cause in causes) or "failed"


def _blocking(result: dg.ExecuteInProcessResult) -> str:
    return "; ".join(
        f"check {check.check_name} did not pass: {check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    )


def _facts(result: dg.ExecuteInProcessResult, step: Step) -> Facts:
    metadata = result.asset_materializations_for_node(step.asset)[0].metadata
    names = ("rows_computed", "rows_reused", "rows_failed", "most_frequent_reason", "score", "lake_version")
    computed, kept, failed, reason, score, version = (
        metadata[name].value if name in metadata else None for name in names
    )
    return Facts(computed, kept, failed or 0, reason, score, version)


def _outcome(result: dg.ExecuteInProcessResult, step: Step) -> str:
    return in_words(_facts(result, step))


def in_words(facts: Facts) -> str:
    """A step's result in one line: rows computed and kept, failed rows with the main reason, and a score."""
    if facts.computed == 0:
        said = f"{_rows(facts.kept)}, up to date"
    else:
        said = _rows(facts.computed) + (f" and {facts.kept:,} kept" if facts.kept else "")
    if facts.reason is not None:
        said += f", {facts.failed:,} failed, mostly: {_short(facts.reason)}"
    return said + (f"; {facts.score}" if facts.score is not None else "")


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _short(reason: str) -> str:
    return textwrap.shorten(reason, REASON, placeholder=" …")
