"""Materialize one step in this process, and say in words what came of it."""

import logging
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from jobs.errors import error_sentence
from jobs.finished_runs import BLOCKED, STOPPED
from jobs.home import told
from jobs.instance import ASSET
from jobs.run_process import process_tags
from jobs.steps import Step

REASON = 120  # characters of why rows failed
INTERRUPTED = "stopped"
PROBLEMS = (dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR)


@dataclass(frozen=True)
class Result:
    """What one step did: plain text, so that a worker process can hand it back."""

    step: Step
    outcome: str
    seconds: float
    failure: str | None = None
    interrupted: bool = False
    warnings: tuple[tuple[str, str], ...] = ()  # check, and what it says


def materialize(step: Step, instance: dg.DagsterInstance) -> Result:
    """Run the step's asset for its partition. It never raises for a failure of the asset itself.

    Raises HomeError where Dagster's own storage fails.
    """
    from definitions import defs

    started = time.monotonic()
    with told(instance.root_directory):
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
    return Result(
        step,
        _outcome(result, step) if result.success else "FAILED",
        time.monotonic() - started,
        failure,
        failure == INTERRUPTED,
        _warnings(result, step),
    )


def show_progress() -> None:
    """Print what preceptor/ logs, indented below the steps."""
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
    if any(cause.cls_name == BLOCKED for cause in causes):  # it names the checks, and they say why
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


def _outcome(result: dg.ExecuteInProcessResult, step: Step) -> str:
    metadata = result.asset_materializations_for_node(step.asset)[0].metadata
    computed, reused = metadata["rows_computed"].value, metadata["rows_reused"].value
    if computed == 0:
        said = f"{_rows(reused)}, up to date"
    else:
        said = _rows(computed) + (f" and {reused:,} kept" if reused else "")
    return said + _failed(metadata) + (f"; {metadata['score'].value}" if "score" in metadata else "")


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _failed(metadata: Mapping[str, Any]) -> str:
    """How many rows failed, and why most of them did."""
    if "most_frequent_reason" not in metadata:
        return ""
    reason = textwrap.shorten(metadata["most_frequent_reason"].value, REASON, placeholder=" …")
    return f", {metadata['rows_failed'].value:,} failed, mostly: {reason}"
