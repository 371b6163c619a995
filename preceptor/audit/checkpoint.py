"""From a checkpoint to the very rows that made it: files, manifest, choice, responses, sources."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from preceptor.audit.finding import Finding
from preceptor.audit.folder import Checkpoint, find_checkpoint, folder_findings
from preceptor.audit.trail import Trail
from preceptor.fingerprint import file_identity
from preceptor.lake.history import Commit, commit_of
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET, TABLES, TUNED_CHECKPOINT
from preceptor.lake.store import Lake, LakeError, NotMaterializedError
from preceptor.lake.warehouse import Warehouse
from preceptor.tuning.task import rows_digest


@dataclass(frozen=True)
class Audit:
    """What was found on the way back; `rows` are those tuned on, none where they cannot be read any more."""

    checkpoint: Checkpoint
    findings: list[Finding]
    rows: pl.DataFrame
    commits: list[Commit]


def audit_checkpoint(lake: Lake, sql_folder: Path, run: str, fingerprint: str | None = None) -> Audit:
    """Walk back from a run's tuned model. Raises AuditError where there is none."""
    checkpoint = find_checkpoint(lake, run, fingerprint)
    trail = Trail(lake)
    findings = [*folder_findings(lake, checkpoint), *_tables(trail, checkpoint)]
    rows = pl.DataFrame()
    try:
        rows = checkpoint_rows(lake, sql_folder, checkpoint)
        findings += _rows(trail, checkpoint, rows)
    except (LakeError, NotMaterializedError, duckdb.Error) as error:
        findings.append(Finding(f"rows of {run}", f"cannot be read: {error}", False))
    findings += _sources(trail.commits)
    return Audit(checkpoint, findings, rows, trail.commits)


def checkpoint_rows(lake: Lake, sql_folder: Path, checkpoint: Checkpoint) -> pl.DataFrame:
    """A row per response that the checkpoint's recipe chose, at the versions that its manifest names."""
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
    """Whether the rows at those versions are, word for word, those that the fingerprint stands for."""
    subject = f"rows of {checkpoint.run}"
    lost = rows.filter(pl.col("turns").is_null() | pl.col("user").is_null())
    if not lost.is_empty():
        yield Finding(subject, f"{lost.height} chosen responses are not in the tables: {_first(lost)}", False)
    manifest = checkpoint.manifest
    expected = manifest["rows"] + len(manifest["failed_rows"])
    if rows.height != expected:
        yield Finding(subject, f"{rows.height} were chosen, the manifest counts {expected}", False)
    commits = [c for c in trail.history(TUNED_CHECKPOINT) if c.fingerprint == checkpoint.fingerprint]
    commit = commit_of(commits, {"run": checkpoint.run})
    if commit is None:
        yield Finding(subject, "no commit says which rows they should be", None)
    elif rows_digest(rows) != commit.settings.get("rows"):
        yield Finding(subject, "their words are not those that the model was tuned on", False)
    else:
        yield Finding(subject, f"{rows.height:,} rows, word for word those that the model was tuned on")


def _first(rows: pl.DataFrame) -> str:
    return ", ".join(rows["response_id"].head(5))


def _sources(commits: list[Commit]) -> Iterator[Finding]:
    """Whether the files that instructions were read from are still the same; they may well have moved on."""
    seen = set()
    for commit in (commit for commit in commits if commit.table == RAW_INSTRUCTIONS.name):
        kept = {source["name"]: source for source in commit.settings.get("sources", [])}
        for source in commit.declared.get("sources", []):
            place = source.get("path") or source.get("dataset")
            if (source["name"], place) not in seen:
                seen.add((source["name"], place))
                yield _source(source, kept.get(source["name"], {}))


def _source(source: dict[str, Any], kept: dict[str, Any]) -> Finding:
    subject = f"source {source['name']}"
    path = source.get("path")
    if path is None:
        return Finding(
            subject, f"dataset {source['dataset']} at {source.get('revision') or 'no fixed revision'}"
        )
    if not Path(path).exists():
        return Finding(subject, f"{path} is no longer here; its rows are in the lake", None)
    if file_identity(path) != kept.get("origin"):
        return Finding(subject, f"{path} was changed since its rows were read", None)
    return Finding(subject, f"{path}, unchanged")
