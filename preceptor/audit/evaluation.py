"""Traces a score back to the answers behind it, and to the checkpoint or untuned base that gave them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from preceptor.audit.audit import Audit, audited
from preceptor.audit.checkpoint import walk_checkpoint
from preceptor.audit.finding import Finding
from preceptor.audit.folder import AuditError
from preceptor.audit.trail import Trail
from preceptor.lake.history import Commit, commit_of
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES, JUDGMENTS, STUDENT_RESPONSES, TUNED_CHECKPOINT
from preceptor.lake.store import Lake


def audit_evaluation(lake: Lake, sql_folder: Path, run: str, benchmark: str) -> Audit:
    """Audit a run's results on a benchmark. Raises AuditError if there are none."""
    return audited(lake, partial(walk_evaluation, sql_folder=sql_folder, run=run, benchmark=benchmark))


def walk_evaluation(lake: Lake, sql_folder: Path, run: str, benchmark: str) -> Audit:
    """Trace the results back to their rows, without hashing the whole store first."""
    trail, partition = Trail(lake), {"run": run, "benchmark": benchmark}
    results = commit_of(trail.history(EVAL_RESULTS), partition)
    if results is None:
        known = sorted({" on ".join(c.partition.values()) for c in trail.history(EVAL_RESULTS)})
        raise AuditError(
            f"run {run!r} has no results on {benchmark!r}; existing results: {', '.join(known) or 'none'}"
        )
    findings = [*_followed(trail, results, partition)]
    if (identity := results.declared.get("untuned")) is not None:  # an untuned base has no rows
        findings.append(Finding(f"results of {run} on {benchmark}", f"belong to the untuned base {identity}"))
        return Audit(None, findings, pl.DataFrame(), trail.commits)
    tuned = commit_of(trail.history(TUNED_CHECKPOINT), {"run": run}, results.reads.get("tuned_checkpoint"))
    if tuned is None:
        raise AuditError(f"the results of {run!r} on {benchmark!r} do not name their checkpoint")
    findings.append(_same_model(results, tuned))
    audit = walk_checkpoint(lake, sql_folder, run, tuned.fingerprint)
    return replace(audit, findings=[*findings, *audit.findings], commits=[*trail.commits, *audit.commits])


def _followed(trail: Trail, results: Commit, partition: dict[str, str]) -> Iterator[Finding]:
    yield from trail.follow(EVAL_SCORES, partition, None, upstream=False)
    yield from trail.follow(EVAL_RESULTS, partition, results.version, upstream=False)
    judged = [c for c in trail.history(JUDGMENTS) if c.fingerprint == results.settings.get("judge")]
    for commit in judged[:1]:
        yield from trail.follow(JUDGMENTS, commit.partition, commit.version, upstream=False)
    if "answers" not in results.settings:  # people's ratings, or a loss: no answers are stored
        return
    answers = [
        c for c in trail.history(STUDENT_RESPONSES) if c.fingerprint == results.settings.get("answers")
    ]
    if not answers:
        yield Finding(
            f"eval_results {' × '.join(partition.values())}", "no answers have its fingerprint", False
        )
    for commit in answers[:1]:
        yield from trail.follow(STUDENT_RESPONSES, commit.partition, commit.version, upstream=False)


def _same_model(results: Commit, tuned: Commit) -> Finding:
    """Check that the results' fingerprint contains the checkpoint's."""
    subject = f"results of {results.partition['run']} on {results.partition['benchmark']}"
    if results.settings.get("checkpoint") != tuned.fingerprint:
        return Finding(subject, f"do not belong to checkpoint {tuned.fingerprint}", False)
    return Finding(subject, f"belong to checkpoint {tuned.fingerprint}")
