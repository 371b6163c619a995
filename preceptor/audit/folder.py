"""A checkpoint's folder against its own manifest, and the manifest against the lake."""

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
    """Something that cannot be audited at all; its text says what there is instead."""


class NeededBase(BaseModel):
    """What an audit says of the base."""

    name: str
    model: str
    identity: str


class NeededOrigin(BaseModel):
    """A partition that was read."""

    table: str
    partition: dict[str, str]
    version: int | None
    content: str | None = None

    @field_validator("table")
    @classmethod
    def _known(cls, table: str) -> str:
        if table not in TABLES:
            raise ValueError(f"there is no table {table!r}")
        return table


class NeededOrigins(BaseModel):
    """The tables' versions that were read."""

    versions: dict[str, int | None]
    partitions: list[NeededOrigin] = []


class NeededObjective(BaseModel):
    """What the run was tuned for; manifests from before there were objectives name none."""

    kind: str = "sft"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in OBJECTIVES:
            raise ValueError(f"there is no objective {kind!r}")
        return kind


class Needed(BaseModel):
    """What an audit reads of a manifest."""

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
    """A published folder: its run, the fingerprint that names it, and what its manifest says.

    `manifest` is the lake's copy where there is one. `file` says how manifest.json stands to it: None for
    an earlier model of the run, of which the lake holds no copy; empty for the same; else what differs.
    """

    run: str
    fingerprint: str
    uri: str
    manifest: dict[str, Any]
    file: str | None = None


def folders(lake: Lake) -> list[str]:
    """Every tuned model of the study that still has a folder, those that were tuned again included."""
    return published(lake, CHECKPOINTS)


def find_checkpoint(lake: Lake, run: str, fingerprint: str | None = None) -> Checkpoint:
    """A run's tuned model: the one that its row names, unless another fingerprint is asked for.

    Raises AuditError where there is none.
    """
    row = lake.read(TUNED_CHECKPOINT, {"run": run})
    if fingerprint is None and row.is_empty():
        runs = sorted(set(lake.read(TUNED_CHECKPOINT, columns=["run"])["run"]))
        raise AuditError(
            f"run {run!r} has no tuned model in {lake.home}; there are: {', '.join(runs) or 'none'}"
        )
    return checkpoint_at(lake, folder_uri(lake, CHECKPOINTS, run, fingerprint or row["fingerprint"][0]))


def checkpoint_at(lake: Lake, uri: str) -> Checkpoint:
    """The tuned model in a folder. Raises AuditError where nothing says what it was made of."""
    run, fingerprint = Path(uri).parts[-2:]
    text, damage = "", ""
    try:
        text = read_manifest(lake, uri) or ""
        said = _complete(json.loads(text)) if text else {}
    except LakeError as error:
        said, damage = {}, str(error)
    except ValueError as error:
        said, damage = {}, f"{uri}/{MANIFEST} is damaged: {error}"
    row = lake.read(TUNED_CHECKPOINT, {"run": run}).filter(fingerprint=fingerprint)
    if not row.is_empty():
        copy = _complete(json.loads(row["manifest"][0]))
        return Checkpoint(run, fingerprint, uri, copy, damage or _difference(uri, text, said, copy))
    if damage or not text:
        raise AuditError(damage or f"{uri} holds no {MANIFEST}: the folder was removed, or its manifest was")
    return Checkpoint(run, fingerprint, uri, said)


def folder_findings(lake: Lake, checkpoint: Checkpoint) -> Iterator[Finding]:
    """The manifest as the lake has it, and every file as the manifest has it."""
    subject = f"checkpoint {checkpoint.run} ({checkpoint.fingerprint})"
    yield _manifest(checkpoint, subject)
    recorded: dict[str, str] = checkpoint.manifest.get("files", {})
    if not recorded:
        yield Finding(subject, "its manifest holds no hashes of files", None)
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
        yield Finding(subject, f"{len(there)} files hashed")


def _manifest(checkpoint: Checkpoint, subject: str) -> Finding:
    if checkpoint.file is None:
        says = "an earlier model of the run: the lake holds no copy of its manifest now"
        return Finding(subject, says, None)
    if checkpoint.file:
        return Finding(subject, checkpoint.file, False)
    return Finding(subject, "the manifest is the one that the lake holds")


def _difference(uri: str, text: str, said: dict[str, Any], copy: dict[str, Any]) -> str:
    """What differs between manifest.json and the lake's copy of it; nothing for a sound one."""
    if not text:
        return f"{uri}/{MANIFEST} is gone"
    differ = ", ".join(sorted(key for key in said.keys() | copy.keys() if said.get(key) != copy.get(key)))
    if differ:
        return f"{uri}/{MANIFEST} differs from the lake's copy in {differ}"
    return "" if text == manifest_text(copy) else f"{uri}/{MANIFEST} is not the file that was written"


def _complete(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest that says all that an audit reads. Raises ValueError for another one."""
    try:
        Needed.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "all of it"
        raise ValueError(f"{field}: {first['msg']}") from error
    return manifest
