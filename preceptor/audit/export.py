"""Writes an audit to one file: the findings, the rows, the commits behind the rows, and the tables' heads."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preceptor.audit.audit import Audit
from preceptor.audit.finding import wrong
from preceptor.audit.folder import AuditError
from preceptor.audit.stored import Head
from preceptor.lake.history import Commit


def export_audit(audit: Audit, file: Path) -> None:
    """Write JSON. The file appears completely or not at all. Raises OSError if it cannot be written."""
    document = {
        "audited": datetime.now(UTC).isoformat(timespec="seconds"),
        **_subject(audit),
        "verified": not wrong(audit.findings),
        "findings": [asdict(finding) for finding in audit.findings],
        "heads": {table: asdict(head) for table, head in audit.heads.items()},
        "commits": [_commit(commit) for commit in audit.commits],
        "rows": audit.rows.to_dicts(),
    }
    incoming = file.with_name(f".{file.name}.incoming")
    try:
        incoming.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        incoming.replace(file)
    finally:
        incoming.unlink(missing_ok=True)


def earlier_heads(file: Path) -> dict[str, Head]:
    """Read the heads from an exported audit. Raises AuditError if the file has none."""
    try:
        return {table: Head(**head) for table, head in json.loads(file.read_bytes())["heads"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AuditError(f"{file} is not an exported audit ({type(error).__name__}: {error})") from error


def _subject(audit: Audit) -> dict[str, Any]:
    if audit.checkpoint is None:
        return {"ranking": _commit(audit.ranking) if audit.ranking else None}
    checkpoint = audit.checkpoint
    return {
        "checkpoint": checkpoint.uri,
        "run": checkpoint.run,
        "fingerprint": checkpoint.fingerprint,
        "manifest": checkpoint.manifest,
    }


def _commit(commit: Commit) -> dict[str, Any]:
    return asdict(commit) | {"time": commit.time.isoformat()}
