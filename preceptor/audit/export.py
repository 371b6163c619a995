"""The audit of a checkpoint as one file: what was verified, every row, and what each of its makers was."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from preceptor.audit.checkpoint import Audit
from preceptor.audit.finding import wrong


def export_audit(audit: Audit, file: Path) -> None:
    """Write JSON; the file appears whole or not at all. Raises OSError where it cannot be written."""
    document = {
        "audited": datetime.now(UTC).isoformat(timespec="seconds"),
        "checkpoint": audit.checkpoint.uri,
        "run": audit.checkpoint.run,
        "fingerprint": audit.checkpoint.fingerprint,
        "verified": not wrong(audit.findings),
        "findings": [asdict(finding) for finding in audit.findings],
        "manifest": audit.checkpoint.manifest,
        "commits": [asdict(commit) | {"time": commit.time.isoformat()} for commit in audit.commits],
        "rows": audit.rows.to_dicts(),
    }
    incoming = file.with_name(f".{file.name}.incoming")
    try:
        incoming.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        incoming.replace(file)
    finally:
        incoming.unlink(missing_ok=True)
