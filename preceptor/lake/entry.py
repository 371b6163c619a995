"""The metadata that each commit stores about the rows that it publishes."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from preceptor.fingerprint import Fingerprint
from preceptor.lake.content import content_hash
from preceptor.lake.schemas import Table

ENTRY = "preceptor"  # the key of our entry in a commit's metadata


def entry(
    table: Table,
    frame: pl.DataFrame,
    partition: Mapping[str, str],
    fingerprint: str,
    reads: Mapping[str, int],
    heads: Mapping[str, str],
    declared: Mapping[str, Any],
) -> dict[str, str]:
    """The metadata of a commit that publishes this frame. `history.Commit` documents its fields."""
    metadata = {
        "partition": dict(partition),
        "fingerprint": fingerprint,
        "made_of": fingerprint.made_of if isinstance(fingerprint, Fingerprint) else None,
        "content": content_hash(frame, table.key),
        "columns": frame.columns,
        "rows": frame.height,
        "reads": dict(reads),
        "heads": dict(heads),
        "declared": dict(declared),
    }
    return {ENTRY: json.dumps(metadata)}


def heads_read(log: bytes) -> dict[str, set[tuple[str, int, str]]]:
    """Per partition in a Delta log entry: the tables it was made from, with their versions and heads."""
    found = {}
    for line in log.splitlines():
        try:
            metadata = json.loads(json.loads(line)["commitInfo"][ENTRY])
            reads = metadata["reads"]
            heads = {(name, int(reads[name]), str(head)) for name, head in metadata["heads"].items()}
            found[json.dumps(metadata["partition"], sort_keys=True)] = heads
        except (ValueError, KeyError, TypeError, AttributeError):  # not our commit, or from an older release
            continue
    return found
