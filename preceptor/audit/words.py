"""Formats an audit as text for a terminal or a run's log."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from preceptor.audit.audit import Audit
from preceptor.audit.finding import wrong
from preceptor.audit.stored import head_of_all
from preceptor.lake.history import commit_of
from preceptor.lake.schemas import RESPONSES

SHOWN = ("engine", "model", "revision", "dtype", "base_url", "path", "dataset", "sampling", "terms")


def audit_text(audit: Audit) -> Iterator[str]:
    """The lines: what was audited, its rows by teacher and source, the findings, the head, the verdict."""
    yield from _title(audit)
    for row in _counted(audit.rows, "teacher"):
        yield f"  teacher {row[0]}: {row[1]:,} rows; {_teacher(audit, row[0])}"
    for row in _counted(audit.rows, "source"):
        yield f"  source  {row[0]}: {row[1]:,} rows"
    yield ""
    yield from (f"  {finding}" for finding in audit.findings)
    yield ""
    if audit.heads:
        yield f"head of the store: {head_of_all(audit.heads)}"
    yield _verdict(audit)


def _title(audit: Audit) -> Iterator[str]:
    if audit.checkpoint is not None:
        checkpoint, manifest = audit.checkpoint, audit.checkpoint.manifest
        base = manifest["base"]
        yield f"{checkpoint.run}: {checkpoint.uri}"
        yield f"  base    {base['name']}: {base['model']} ({base['identity']})"
        yield f"  tuned   {manifest['rows']:,} rows, {manifest['steps']:,} steps, seed {manifest['seed']}"
    elif audit.ranking is not None:
        ranking = audit.ranking
        yield f"ranking: car_table version {ranking.version}, published {ranking.time:%Y-%m-%d %H:%M} UTC"


def _counted(rows: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    """Number of distinct responses by teacher or source. A ranking has a row per response and base."""
    if rows.is_empty():
        return []
    counts = rows.filter(pl.col(column).is_not_null()).group_by(column)
    responses = counts.agg(pl.col("response_id").n_unique().alias("rows"))
    return list(responses.sort("rows", column, descending=[True, False]).iter_rows())


def _teacher(audit: Audit, teacher: str) -> str:
    """The teacher's engine, model, revision, sampling and terms when the rows were collected."""
    responses = [commit for commit in audit.commits if commit.table == RESPONSES.name]
    commit = commit_of(responses, {"teacher": teacher})
    if commit is None:
        return "no commit describes it"
    if any(finding.subject == f"files of {RESPONSES.name}" for finding in wrong(audit.findings)):
        return "its commit describes it, but cannot be trusted (see below)"
    parts = [f"{name} {_value(commit.declared[name])}" for name in SHOWN if name in commit.declared]
    return f"{', '.join(parts)}, published {commit.time:%Y-%m-%d %H:%M} UTC"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {part}" for name, part in value.items()) + "}"
    return str(value)


def _verdict(audit: Audit) -> str:
    bad = len(wrong(audit.findings))
    unknown = sum(finding.holds is None for finding in audit.findings)
    sound = sum(finding.holds is True for finding in audit.findings)
    text = f"{sound} verified" + (f", {unknown} could not be checked" if unknown else "")
    return f"{text}, {bad} DO NOT MATCH" if bad else f"{text}, no mismatch"
