"""The job `audit`: a checkpoint's audit in Dagster, say on a schedule of one's own or before a release."""

from pathlib import Path

import dagster as dg

from preceptor.audit.checkpoint import Audit, audit_checkpoint
from preceptor.audit.evaluation import audit_evaluation
from preceptor.audit.export import export_audit
from preceptor.audit.finding import wrong
from preceptor.audit.words import audit_text
from resources.lake import LakeResource
from resources.warehouse import SQL


class AuditConfig(dg.Config):
    """Which run's checkpoint; with a benchmark, its score there; and a file for the whole audit, as JSON."""

    run: str
    benchmark: str | None = None
    export: str | None = None


@dg.op
def audit_run(context: dg.OpExecutionContext, config: AuditConfig, lake: LakeResource) -> None:
    """Walk back to the rows, log every finding, and fail where something does not match."""
    audit = _audit(config, lake)
    for line in audit_text(audit):
        context.log.info(line)
    context.add_output_metadata(
        {"findings": dg.MetadataValue.md(_table(audit)), "checkpoint": audit.checkpoint.uri}
    )
    if config.export is not None:
        export_audit(audit, Path(config.export))
    if bad := wrong(audit.findings):
        raise dg.Failure(
            f"{len(bad)} of {len(audit.findings)} findings do not match: {bad[0]}", allow_retries=False
        )


@dg.job(
    description="From a checkpoint (or a score) back to the very rows that made it, each step hashed again."
)
def audit() -> None:
    """The job of one op."""
    audit_run()


def _audit(config: AuditConfig, lake: LakeResource) -> Audit:
    if config.benchmark is None:
        return audit_checkpoint(lake.open(), SQL, config.run)
    return audit_evaluation(lake.open(), SQL, config.run, config.benchmark)


def _table(audit: Audit) -> str:
    lines = ["| | what | found |", "| --- | --- | --- |"]
    for finding in audit.findings:
        sign = {True: "ok", False: "**wrong**", None: "?"}[finding.holds]
        lines.append(f"| {sign} | {_cell(finding.subject)} | {_cell(finding.says)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
