"""Checks a checkpoint's folder against its manifest, and the manifest against the lake."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, field_validator

from preceptor.audit.finding import Finding
from preceptor.lake.folders import MANIFEST, file_sizes, folder_uri, published, read_manifest, stored_hash
from preceptor.lake.schemas import TABLES, TUNED_CHECKPOINT
from preceptor.lake.store import Lake, LakeError
from preceptor.tuning.manifest import manifest_text
from preceptor.tuning.objectives import OBJECTIVES

CHECKPOINTS = "checkpoints"


class AuditError(ValueError):
    """Something cannot be audited. The message lists what exists instead."""


class NeededBase(BaseModel):
    """The manifest's base model."""

    name: str
    model: str
    identity: str


class NeededOrigin(BaseModel):
    """A partition that the tuning read."""

    table: str
    partition: dict[str, str]
    version: int | None
    content: str | None = None

    @field_validator("table")
    @classmethod
    def _known(cls, table: str) -> str:
        if table not in TABLES:
            raise ValueError(f"unknown table {table!r}")
        return table


class NeededOrigins(BaseModel):
    """The versions of the tables that the tuning read."""

    versions: dict[str, int | None]
    partitions: list[NeededOrigin] = []


class NeededObjective(BaseModel):
    """The tuning objective. Manifests of older releases have none: SFT."""

    kind: str = "sft"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in OBJECTIVES:
            raise ValueError(f"unknown objective {kind!r}")
        return kind


class Needed(BaseModel):
    """The fields of a manifest that an audit reads."""

    base: NeededBase
    origins: NeededOrigins
    recipe: str
    rows: int
    steps: int
    seed: int
    failed_rows: dict[str, str]
    objective: NeededObjective = NeededObjective()
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Checkpoint:
    """A published folder: its run, the fingerprint that names it, and its manifest.

    `manifest` is the lake's copy if there is one. `file` compares manifest.json with that copy: None if the
    lake has no copy (an earlier model of the run), empty if they are equal, else the difference.
    """

    run: str
    fingerprint: str
    uri: str
    manifest: dict[str, Any]
    file: str | None = None


def folders(lake: Lake) -> list[str]:
    """The folders of all tuned models of the study, including earlier models of a run."""
    return published(lake, CHECKPOINTS)


def find_checkpoint(lake: Lake, run: str, fingerprint: str | None = None) -> Checkpoint:
    """A run's tuned model: the current one, or the one with the given fingerprint.

    Raises AuditError if there is none.
    """
    row = lake.read(TUNED_CHECKPOINT, {"run": run})
    if fingerprint is None and row.is_empty():
        runs = sorted(set(lake.read(TUNED_CHECKPOINT, columns=["run"])["run"]))
        raise AuditError(
            f"run {run!r} has no tuned model in {lake.home}; tuned runs: {', '.join(runs) or 'none'}"
        )
    return checkpoint_at(lake, folder_uri(lake, CHECKPOINTS, run, fingerprint or row["fingerprint"][0]))


def checkpoint_at(lake: Lake, uri: str) -> Checkpoint:
    """The tuned model in a folder. Raises AuditError if neither the folder nor the lake has a manifest."""
    run, fingerprint = Path(uri).parts[-2:]
    text, damage = "", ""
    try:
        text = read_manifest(lake, uri) or ""
        manifest = _complete(json.loads(text)) if text else {}
    except LakeError as error:
        manifest, damage = {}, str(error)
    except ValueError as error:
        manifest, damage = {}, f"{uri}/{MANIFEST} is damaged: {error}"
    row = lake.read(TUNED_CHECKPOINT, {"run": run}).filter(fingerprint=fingerprint)
    if not row.is_empty():
        copy = _complete(json.loads(row["manifest"][0]))
        return Checkpoint(run, fingerprint, uri, copy, damage or _difference(uri, text, manifest, copy))
    if damage or not text:
        raise AuditError(damage or f"{uri} holds no {MANIFEST}: the folder or its manifest was removed")
    return Checkpoint(run, fingerprint, uri, manifest)


def folder_findings(lake: Lake, checkpoint: Checkpoint) -> Iterator[Finding]:
    """Check the manifest against the lake's copy, and every file against the manifest."""
    subject = f"checkpoint {checkpoint.run} ({checkpoint.fingerprint})"
    yield _manifest(checkpoint, subject)
    recorded: dict[str, str] = checkpoint.manifest.get("files", {})
    if not recorded:
        yield Finding(subject, "its manifest has no file hashes", None)
        return
    folder = checkpoint.uri
    there = file_sizes(lake, folder).keys() - {MANIFEST}
    for name in sorted(recorded.keys() | there):
        if name not in there:
            yield Finding(subject, f"{folder}/{name} is gone", False)
        elif name not in recorded:
            yield Finding(subject, f"{folder}/{name} is not in the manifest", False)
        elif stored_hash(lake, f"{folder}/{name}") != recorded[name]:
            yield Finding(subject, f"{folder}/{name} is not the file that was written", False)
    if recorded.keys() == there:
        yield Finding(subject, f"{len(there)} files match the manifest's hashes")


def _manifest(checkpoint: Checkpoint, subject: str) -> Finding:
    if checkpoint.file is None:
        says = "an earlier model of the run, so the lake has no copy of its manifest"
        return Finding(subject, says, None)
    if checkpoint.file:
        return Finding(subject, checkpoint.file, False)
    return Finding(subject, "the manifest equals the lake's copy")


def _difference(uri: str, text: str, manifest: dict[str, Any], copy: dict[str, Any]) -> str:
    """The difference between manifest.json and the lake's copy of it; empty if there is none."""
    if not text:
        return f"{uri}/{MANIFEST} is gone"
    differ = sorted(key for key in manifest.keys() | copy.keys() if manifest.get(key) != copy.get(key))
    if differ:
        return f"{uri}/{MANIFEST} differs from the lake's copy in {', '.join(differ)}"
    return "" if text == manifest_text(copy) else f"{uri}/{MANIFEST} is not the file that was written"


def _complete(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, if it has all fields of `Needed`. Raises ValueError otherwise."""
    try:
        Needed.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole file"
        raise ValueError(f"{field}: {first['msg']}") from error
    return manifest
