"""From a ranking to the very rows that its means were taken over: scores, losses, responses, sources."""

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
    """Walk back from the ranking at a version of the CAR table, the newest by default.

    Its rows are the responses; `whole` gives one per base and response, with all words: at the paper's size
    they fill tens of gigabytes. Raises AuditError where nothing was ranked by then.
    """
    return audited(lake, partial(walk_ranking, sql_folder=sql_folder, version=version, whole=whole))


def walk_ranking(lake: Lake, sql_folder: Path, version: int | None = None, whole: bool = False) -> Audit:
    """The way back alone."""
    trail = Trail(lake)
    ranking = commit_of(trail.history(CAR_TABLE), {}, version)
    if ranking is None:
        when = "yet" if version is None else f"by version {version} of car_table"
        raise AuditError(f"nothing was ranked in {lake.home} {when}: run the study first")
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
    """A row per response of a ranked teacher, at the versions that it read; `whole`: for each base."""
    warehouse = Warehouse(lake, sql_folder)
    versions = ranking.reads | {CAR_TABLE.name: ranking.version}
    warehouse.attach(RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES, CAR_TABLE, versions=versions)
    return warehouse.query("audit/ranking_rows" if whole else "audit/ranking_responses")


def _counted(rows: pl.DataFrame) -> Finding:
    """How many responses there are to the means; those to an instruction of another version count in none."""
    known = rows.filter(pl.col("source").is_not_null())["response_id"].n_unique()
    others = rows["response_id"].n_unique() - known
    says = f"{known:,} responses, each with its instruction"
    if others:
        return Finding(
            "rows of the ranking", f"{says}; {others:,} whose instruction is of another version", None
        )
    return Finding("rows of the ranking", says)
