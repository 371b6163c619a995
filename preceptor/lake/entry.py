"""What a commit says of the rows that it publishes: kept in the commit itself."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from preceptor.fingerprint import Fingerprint
from preceptor.lake.content import content_hash
from preceptor.lake.schemas import Table

ENTRY = "preceptor"  # the key of our entry among a commit's metadata


def entry(
    table: Table,
    frame: pl.DataFrame,
    partition: Mapping[str, str],
    fingerprint: str,
    reads: Mapping[str, int],
    heads: Mapping[str, str],
    declared: Mapping[str, Any],
) -> dict[str, str]:
    """The metadata of a commit that publishes this frame; `history.Commit` has the meaning of its fields."""
    said = {
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
    return {ENTRY: json.dumps(said)}


def heads_read(log: bytes) -> dict[str, set[tuple[str, int, str]]]:
    """Of an entry of Delta's log: per partition, the tables it was made from, their versions and heads."""
    found = {}
    for line in log.splitlines():
        try:
            said = json.loads(json.loads(line)["commitInfo"][ENTRY])
            heads = {(name, int(said["reads"][name]), str(head)) for name, head in said["heads"].items()}
            found[json.dumps(said["partition"], sort_keys=True)] = heads
        except (ValueError, KeyError, TypeError, AttributeError):  # no commit of ours, or an older release's
            continue
    return found
