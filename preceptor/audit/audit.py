"""One audit: check the bytes of every file first, then trace the rows back as far as damage allows."""

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
    """The findings for a tuned model or for a `ranking`, which is a version of the CAR table.

    `rows` are the rows that it was made from, empty if they cannot be read any more. `heads` are hashes that
    a user keeps outside the store to compare with later.
    """

    checkpoint: Checkpoint | None
    findings: list[Finding]
    rows: pl.DataFrame
    commits: list[Commit]
    ranking: Commit | None = None
    heads: dict[str, Head] = field(default_factory=dict)


def audited(lake: Lake, walk: Callable[[Lake], Audit]) -> Audit:
    """Hash every file of the store, then call `walk`; in a child process if some file was not verified.

    Raises AuditError if the audited thing is missing from an intact store, and LakeError if the store cannot
    be read.
    """
    stored = stored_files(lake)
    # The findings name damaged files, so the walk reads them without a check.
    work = partial(walk, replace(lake, checked=False))
    sound = all(finding.holds for finding in stored.findings)
    try:
        audit = work() if sound else apart(work)
    except (AuditError, LakeError, ApartError) as error:
        if not wrong(stored.findings) and not isinstance(error, ApartError):
            raise
        ended = Finding("trace", f"could not be completed: {error}", False)
        audit = Audit(None, [ended], pl.DataFrame(), [])
    return replace(audit, findings=[*stored.findings, *audit.findings], heads=stored.heads)
