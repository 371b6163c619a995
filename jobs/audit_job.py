"""The job `audit`: audits a ranking, checkpoint or score in Dagster, for example before a release."""

from pathlib import Path

import dagster as dg

from assets.failures import Failed, told
from preceptor.audit.audit import Audit
from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.evaluation import audit_evaluation
from preceptor.audit.export import export_audit
from preceptor.audit.finding import wrong
from preceptor.audit.ranking import audit_ranking
from preceptor.audit.stored import head_of_all
from preceptor.audit.words import audit_text
from resources.lake import LakeResource
from resources.warehouse import SQL


class AuditConfig(dg.Config):
    """What to audit: a `run`'s checkpoint, its score on a `benchmark`, or without a run the newest ranking.

    The whole audit is written to the file `export` as JSON.
    """

    run: str | None = None
    benchmark: str | None = None
    export: str | None = None


@dg.op
@told
def audit_run(context: dg.OpExecutionContext, config: AuditConfig, lake: LakeResource) -> None:
    """Trace the inputs back to the rows, log every finding, and fail if something does not match."""
    audit = _audit(config, lake)
    for line in audit_text(audit):
        context.log.info(line)
    context.add_output_metadata(
        {
            "findings": dg.MetadataValue.md(_table(audit)),
            "audited": audit.checkpoint.uri if audit.checkpoint else "ranking",
            "head": head_of_all(audit.heads),
        }
    )
    if config.export is not None:
        export_audit(audit, Path(config.export))
    if bad := wrong(audit.findings):
        raise Failed(
            f"{len(bad)} of {len(audit.findings)} findings do not match: {bad[0]}", allow_retries=False
        )


@dg.job(description="Traces a ranking, checkpoint or score back to its input rows and verifies every hash.")
def audit() -> None:
    """Run the audit."""
    audit_run()


def _audit(config: AuditConfig, lake: LakeResource) -> Audit:
    if config.run is None:
        if config.benchmark is not None:
            raise Failed(f"benchmark {config.benchmark!r} needs a run: set 'run' too", allow_retries=False)
        return audit_ranking(lake.open(), SQL, whole=config.export is not None)
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
