"""Writes the report beside the study's tables, once per state of the tables that it reads."""

import logging
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import polars as pl

from preceptor.current import current_fingerprints
from preceptor.current.results import keep_current_results
from preceptor.fingerprint import fingerprint
from preceptor.lake.files import REPORT, is_sealed, read_text, sealed, write_text
from preceptor.lake.resume import put
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_BETA_SWEEP,
    CAR_TABLE,
    EVAL_DIFFERENCES,
    EVAL_RESULTS,
    EVAL_SCORES,
    JUDGMENTS,
    PREDICTED_ACTUAL,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    SELECTED_SUBSET,
    SUITABILITY,
    TUNED_CHECKPOINT,
    Table,
)
from preceptor.lake.store import Lake, LakeError
from preceptor.lake.warehouse import Warehouse
from preceptor.report.all_runs import score_together
from preceptor.report.averages import add_averages
from preceptor.report.differences import differences
from preceptor.report.page import ReportFacts, build_report
from preceptor.report.predicted import predicted_actual
from preceptor.report.seeds import NAME as SEED_DIFFERENCES
from preceptor.report.seeds import seed_differences
from preceptor.report.tested_values import tested_values
from preceptor.study.schema import Study

log = logging.getLogger(__name__)
VERSION = 9  # 9: every suitability metric
HEAD = 4000  # the page's first characters, before its scripts; they contain the fingerprint
REPORT_TABLES = (
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    BASE_LOSSES,
    CAR_TABLE,
    CAR_BETA_SWEEP,
    SUITABILITY,
    SELECTED_SUBSET,
    TUNED_CHECKPOINT,
    JUDGMENTS,
    EVAL_RESULTS,
    EVAL_SCORES,
)
PACKAGES = (
    "preceptor torch transformers trl peft accelerate alpaca-eval dagster deltalake duckdb polars".split()
)


@dataclass(frozen=True)
class Published:
    """Where the report is, and whether this call made it."""

    uri: str
    fingerprint: str
    made: bool
    predicted_actual: pl.DataFrame


def report_uri(lake: Lake) -> str:
    """The address of the study's report. Old versions of the tables reproduce old reports."""
    return f"{lake.home}/{REPORT}"


def publish_report(lake: Lake, study: Study, warehouse: Warehouse) -> Published:
    """Write report.html and the table `predicted_actual`, from a warehouse with REPORT_TABLES attached."""
    keep_current_results(warehouse, study)
    score_together(warehouse, study)
    add_averages(warehouse, study)
    fingerprint = report_fingerprint(study, warehouse.versions)
    tested = tested_values(warehouse, study)
    compared = differences(study, tested)
    warehouse.register(EVAL_DIFFERENCES.name, compared)
    warehouse.register(SEED_DIFFERENCES, seed_differences(study, tested))
    rows = predicted_actual(warehouse, study)
    _keep(lake, PREDICTED_ACTUAL, fingerprint, rows)
    _keep(lake, EVAL_DIFFERENCES, fingerprint, compared)
    uri = report_uri(lake)
    if _is_there(lake, uri, fingerprint):
        return Published(uri, fingerprint, False, rows)
    facts = ReportFacts(
        packages={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        lake_versions=warehouse.versions,
        fingerprint=fingerprint,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_text(lake, uri, sealed(build_report(study, warehouse, facts)))
    return Published(uri, fingerprint, True, rows)


def _is_there(lake: Lake, uri: str, fingerprint: str) -> bool:
    """Whether the stored page is complete and has this fingerprint."""
    try:
        present = read_text(lake, uri)
    except LakeError as error:
        log.warning("%s", error)
        return False
    return present is not None and fingerprint in present[:HEAD] and is_sealed(present)


def _keep(lake: Lake, table: Table, fingerprint: str, rows: pl.DataFrame) -> None:
    """Replace the table's rows with these, so that no rows of removed runs remain."""
    if not rows.is_empty():
        put(lake, table, {}, fingerprint, rows)
    elif not lake.read(table).is_empty():
        lake.delete(table, {})


def report_fingerprint(study: Study, versions: dict[str, int]) -> str:
    """Changes with the study's settings, the current rows, and the version of every table read."""
    settings = study.model_dump(mode="json")
    current = current_fingerprints(study).parts()
    return fingerprint("study_report", VERSION, study=settings, versions=versions, **current)
