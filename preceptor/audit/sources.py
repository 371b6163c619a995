"""Checks whether the files that instructions were read from are unchanged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preceptor.audit.finding import Finding
from preceptor.fingerprint import file_identity
from preceptor.lake.history import Commit
from preceptor.lake.schemas import RAW_INSTRUCTIONS


def source_findings(commits: list[Commit]) -> Iterator[Finding]:
    """A finding per source of instructions. A changed or missing file is not an error: `holds` is None."""
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
        return Finding(subject, f"{path} no longer exists; its rows are in the lake", None)
    if file_identity(path) != kept.get("origin"):
        return Finding(subject, f"{path} has changed since its rows were read", None)
    return Finding(subject, f"{path}, unchanged")
