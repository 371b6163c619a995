"""One audit: the bytes first, then the way back, wherever damage leaves one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl

from preceptor.audit.apart import ApartError, apart
from preceptor.audit.finding import Finding, wrong
from preceptor.audit.folder import AuditError, Checkpoint
from preceptor.audit.stored import Head, stored_files
from preceptor.lake.history import Commit
from preceptor.lake.store import Lake, LakeError


@dataclass(frozen=True)
class Audit:
    """What was found on the way back from a tuned model, or from a `ranking`, a version of the CAR table.

    `rows` are those that it was made from, none where they cannot be read any more; `heads` what a user
    keeps outside the store, to hold it against later.
    """

    checkpoint: Checkpoint | None
    findings: list[Finding]
    rows: pl.DataFrame
    commits: list[Commit]
    ranking: Commit | None = None
    heads: dict[str, Head] = field(default_factory=dict)


def audited(lake: Lake, walk: Callable[[Lake], Audit]) -> Audit:
    """Hash every file of the store, then walk: in a process of its own where not every byte is vouched for.

    Raises AuditError for what is not there in a store that is sound, LakeError for one that cannot be read.
    """
    stored = stored_files(lake)
    way = partial(walk, replace(lake, checked=False))  # what is damaged is said here, and read nonetheless
    sound = all(finding.holds for finding in stored.findings)
    try:
        audit = way() if sound else apart(way)
    except (AuditError, LakeError, ApartError) as error:
        if not wrong(stored.findings) and not isinstance(error, ApartError):
            raise
        ended = Finding("the way back", f"cannot be walked to its end: {error}", False)
        audit = Audit(None, [ended], pl.DataFrame(), [])
    return replace(audit, findings=[*stored.findings, *audit.findings], heads=stored.heads)
