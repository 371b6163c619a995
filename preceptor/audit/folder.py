"""A checkpoint's folder against its own manifest, and the manifest against the lake."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.audit.finding import Finding
from preceptor.lake.folders import MANIFEST, file_sizes, folder_uri, published, read_manifest, stored_hash
from preceptor.lake.schemas import TUNED_CHECKPOINT
from preceptor.lake.store import Lake

CHECKPOINTS = "checkpoints"


class AuditError(ValueError):
    """Something that cannot be audited at all; its text says what there is instead."""


@dataclass(frozen=True)
class Checkpoint:
    """A published folder: its run, the fingerprint that names it, and what its manifest says."""

    run: str
    fingerprint: str
    uri: str
    manifest: dict[str, Any]


def checkpoints(lake: Lake) -> list[Checkpoint]:
    """Every tuned model of the study that still has a folder, those that were tuned again included."""
    return [_checkpoint(lake, uri) for uri in published(lake, CHECKPOINTS)]


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
    uri = folder_uri(lake, CHECKPOINTS, run, fingerprint or row["fingerprint"][0])
    if read_manifest(lake, uri) is None:
        raise AuditError(f"{uri} holds no {MANIFEST}: the folder was removed, or its manifest was")
    return _checkpoint(lake, uri)


def folder_findings(lake: Lake, checkpoint: Checkpoint) -> Iterator[Finding]:
    """The manifest as the lake has it, and every file as the manifest has it."""
    subject = f"checkpoint {checkpoint.run} ({checkpoint.fingerprint})"
    yield from _manifest(lake, checkpoint, subject)
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


def _manifest(lake: Lake, checkpoint: Checkpoint, subject: str) -> Iterator[Finding]:
    row = lake.read(TUNED_CHECKPOINT, {"run": checkpoint.run}).filter(fingerprint=checkpoint.fingerprint)
    if row.is_empty():
        yield Finding(
            subject, "an earlier model of the run: the lake holds no copy of its manifest now", None
        )
    elif json.loads(row["manifest"][0]) == checkpoint.manifest:
        yield Finding(subject, "the manifest is the one that the lake holds")
    else:
        differ = _differing(json.loads(row["manifest"][0]), checkpoint.manifest)
        yield Finding(subject, f"{checkpoint.uri}/{MANIFEST} differs from the lake's copy in {differ}", False)


def _differing(one: dict[str, Any], other: dict[str, Any]) -> str:
    return ", ".join(sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key)))


def _checkpoint(lake: Lake, uri: str) -> Checkpoint:
    text = read_manifest(lake, uri) or ""
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise AuditError(f"{uri}/{MANIFEST} is no JSON: {error}") from error
    path = Path(uri)
    return Checkpoint(path.parent.name, path.name, uri, manifest)
