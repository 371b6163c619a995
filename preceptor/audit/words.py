"""An audit as text for a terminal or a run's log."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from preceptor.audit.checkpoint import Audit
from preceptor.audit.finding import wrong
from preceptor.lake.history import Commit, commit_of
from preceptor.lake.schemas import RESPONSES

SHOWN = ("engine", "model", "revision", "dtype", "base_url", "path", "dataset", "sampling", "terms")


def audit_text(audit: Audit) -> Iterator[str]:
    """What the model is, whose rows it holds, every finding, and the verdict."""
    checkpoint, manifest = audit.checkpoint, audit.checkpoint.manifest
    base = manifest["base"]
    yield f"{checkpoint.run}: {checkpoint.uri}"
    yield f"  base    {base['name']}: {base['model']} ({base['identity']})"
    yield f"  tuned   {manifest['rows']:,} rows, {manifest['steps']:,} steps, seed {manifest['seed']}"
    for row in _counted(audit.rows, "teacher"):
        yield f"  teacher {row[0]}: {row[1]:,} rows; {_teacher(audit.commits, row[0])}"
    for row in _counted(audit.rows, "source"):
        yield f"  source  {row[0]}: {row[1]:,} rows"
    yield ""
    yield from (f"  {finding}" for finding in audit.findings)
    yield ""
    yield _verdict(audit)


def _counted(rows: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    if rows.is_empty():
        return []
    return list(rows.group_by(column).len().sort("len", column, descending=[True, False]).iter_rows())


def _teacher(commits: list[Commit], teacher: str) -> str:
    """Engine, model, revision, sampling and terms, as declared when the rows were collected."""
    responses = [commit for commit in commits if commit.table == RESPONSES.name]
    commit = commit_of(responses, {"teacher": teacher})
    if commit is None:
        return "its commit says nothing of it"
    said = [f"{name} {_value(commit.declared[name])}" for name in SHOWN if name in commit.declared]
    return f"{', '.join(said)}, published {commit.time:%Y-%m-%d %H:%M} UTC"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {part}" for name, part in value.items()) + "}"
    return str(value)


def _verdict(audit: Audit) -> str:
    bad = len(wrong(audit.findings))
    unknown = sum(finding.holds is None for finding in audit.findings)
    sound = sum(finding.holds is True for finding in audit.findings)
    text = f"{sound} verified" + (f", {unknown} could not be checked" if unknown else "")
    return f"{text}, {bad} DO NOT MATCH" if bad else f"{text}, nothing that does not match"
