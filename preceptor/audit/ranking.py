"""Traces a ranking back to the rows behind its means: rewards, losses, responses, sources."""

from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from preceptor.audit.audit import Audit, audited
from preceptor.audit.finding import Finding
from preceptor.audit.folder import AuditError
from preceptor.audit.sources import source_findings
from preceptor.audit.trail import Trail
from preceptor.lake.history import Commit, commit_of
from preceptor.lake.schemas import BASE_LOSSES, CAR_TABLE, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.store import Lake, LakeError, NotMaterializedError
from preceptor.lake.warehouse import Warehouse


def audit_ranking(lake: Lake, sql_folder: Path, version: int | None = None, whole: bool = False) -> Audit:
    """Audit the ranking at a version of the CAR table, the newest by default.

    The audit's rows are the responses. With `whole` there is a row per base and response, with the full text:
    tens of gigabytes at the paper's size. Raises AuditError if there was no ranking by that version.
    """
    return audited(lake, partial(walk_ranking, sql_folder=sql_folder, version=version, whole=whole))


def walk_ranking(lake: Lake, sql_folder: Path, version: int | None = None, whole: bool = False) -> Audit:
    """Trace the ranking back to its rows, without hashing the whole store first."""
    trail = Trail(lake)
    ranking = commit_of(trail.history(CAR_TABLE), {}, version)
    if ranking is None:
        when = "yet" if version is None else f"by version {version} of car_table"
        raise AuditError(f"{lake.home} has no ranking {when}: run the study first")
    findings = list(trail.follow(CAR_TABLE, {}, ranking.version))
    rows = pl.DataFrame()
    try:
        rows = ranking_rows(lake, sql_folder, ranking, whole)
        findings.append(_counted(rows))
    except (LakeError, NotMaterializedError, duckdb.Error) as error:
        findings.append(Finding("rows of the ranking", f"cannot be read: {error}", False))
    findings += source_findings(trail.commits)
    return Audit(None, findings, rows, trail.commits, ranking)


def ranking_rows(lake: Lake, sql_folder: Path, ranking: Commit, whole: bool) -> pl.DataFrame:
    """A row per response of a ranked teacher, at the versions that were read. `whole`: per base too."""
    warehouse = Warehouse(lake, sql_folder)
    versions = ranking.reads | {CAR_TABLE.name: ranking.version}
    warehouse.attach(RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES, CAR_TABLE, versions=versions)
    return warehouse.query("audit/ranking_rows" if whole else "audit/ranking_responses")


def _counted(rows: pl.DataFrame) -> Finding:
    """Count the responses. Responses to an instruction of another version are not in the means."""
    known = rows.filter(pl.col("source").is_not_null())["response_id"].n_unique()
    others = rows["response_id"].n_unique() - known
    says = f"{known:,} responses, each with its instruction"
    if others:
        return Finding(
            "rows of the ranking", f"{says}; {others:,} more answer an instruction of another version", None
        )
    return Finding("rows of the ranking", says)
