"""Traces a checkpoint back to its rows: files, manifest, selection, responses, sources."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from preceptor.audit.audit import Audit, audited
from preceptor.audit.finding import Finding
from preceptor.audit.folder import Checkpoint, find_checkpoint, folder_findings
from preceptor.audit.sources import source_findings
from preceptor.audit.trail import Trail
from preceptor.lake.history import commit_of
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET, TABLES, TUNED_CHECKPOINT
from preceptor.lake.store import Lake, LakeError, NotMaterializedError
from preceptor.lake.warehouse import Warehouse
from preceptor.tuning.objectives import OBJECTIVES
from preceptor.tuning.task import rows_digest


def audit_checkpoint(lake: Lake, sql_folder: Path, run: str, fingerprint: str | None = None) -> Audit:
    """Audit a run's tuned model. Raises AuditError if there is none."""
    return audited(lake, partial(walk_checkpoint, sql_folder=sql_folder, run=run, fingerprint=fingerprint))


def walk_checkpoint(lake: Lake, sql_folder: Path, run: str, fingerprint: str | None = None) -> Audit:
    """Trace the tuned model back to its rows, without hashing the whole store first."""
    checkpoint = find_checkpoint(lake, run, fingerprint)
    trail = Trail(lake)
    findings = [*folder_findings(lake, checkpoint), *_tables(trail, checkpoint)]
    rows = pl.DataFrame()
    try:
        rows = checkpoint_rows(lake, sql_folder, checkpoint)
        findings += _rows(trail, checkpoint, rows)
    except (LakeError, NotMaterializedError, duckdb.Error) as error:
        findings.append(Finding(f"rows of {run}", f"cannot be read: {error}", False))
    return Audit(checkpoint, [*findings, *source_findings(trail.commits)], rows, trail.commits)


def checkpoint_rows(lake: Lake, sql_folder: Path, checkpoint: Checkpoint) -> pl.DataFrame:
    """A row per response that the checkpoint's recipe selected, at the versions named in its manifest."""
    warehouse = Warehouse(lake, sql_folder)
    versions = checkpoint.manifest["origins"]["versions"]
    warehouse.attach(RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET, versions=versions)
    return warehouse.query("audit/checkpoint_rows", recipe=checkpoint.manifest["recipe"])


def _tables(trail: Trail, checkpoint: Checkpoint) -> Iterator[Finding]:
    yield from trail.follow(TUNED_CHECKPOINT, {"run": checkpoint.run}, None, upstream=False)
    for origin in checkpoint.manifest["origins"].get("partitions", []):
        table = TABLES[origin["table"]]
        yield from trail.follow(table, origin["partition"], origin["version"], origin.get("content"))


def _rows(trail: Trail, checkpoint: Checkpoint, rows: pl.DataFrame) -> Iterator[Finding]:
    """Check that the rows at these versions are exactly those in the checkpoint's fingerprint."""
    subject = f"rows of {checkpoint.run}"
    lost = rows.filter(pl.col("turns").is_null() | pl.col("user").is_null())
    if not lost.is_empty():
        says = f"{lost.height} selected responses are not in the tables: {_first(lost)}"
        yield Finding(subject, says, False)
    manifest = checkpoint.manifest
    expected = manifest["rows"] + len(manifest["failed_rows"])
    if rows.height != expected:
        yield Finding(subject, f"{rows.height} were selected, but the manifest counts {expected}", False)
    commits = [c for c in trail.history(TUNED_CHECKPOINT) if c.fingerprint == checkpoint.fingerprint]
    commit = commit_of(commits, {"run": checkpoint.run})
    if commit is None:
        yield Finding(subject, "no commit records their hash, so they cannot be checked", None)
    elif rows_digest(rows, _columns(manifest)) != commit.settings.get("rows"):
        yield Finding(subject, "their text differs from what the model was tuned on", False)
    else:
        yield Finding(subject, f"{rows.height:,} rows, exactly those that the model was tuned on")


def _columns(manifest: dict[str, Any]) -> tuple[str, ...]:
    """The columns that the objective read. Manifests without an objective are from older releases: SFT."""
    return OBJECTIVES[manifest.get("objective", {"kind": "sft"})["kind"]].columns


def _first(rows: pl.DataFrame) -> str:
    return ", ".join(rows["response_id"].head(5))
