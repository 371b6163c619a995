"""Finds checkpoints tuned on a teacher's outputs, a source's rows, or outputs under given terms of use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from preceptor.audit.checkpoint import checkpoint_rows
from preceptor.audit.finding import Finding
from preceptor.audit.folder import AuditError, Checkpoint, checkpoint_at, folders
from preceptor.lake.history import Commit, commit_of, history
from preceptor.lake.schemas import RESPONSES, TUNED_CHECKPOINT
from preceptor.lake.store import Lake, LakeError, NotMaterializedError
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Study

TUNED_ROWS = pl.Schema(
    {
        "run": pl.String,
        "fingerprint": pl.String,
        "uri": pl.String,
        "is_current": pl.Boolean,
        "rows_in_all": pl.Int64,
        "teacher": pl.String,
        "source": pl.String,
        "terms_then": pl.String,
        "terms_now": pl.String,
    }
)


@dataclass(frozen=True)
class Search:
    """A row per checkpoint found. `unknown` lists checkpoints whose rows cannot be read any more."""

    found: pl.DataFrame
    unknown: list[Finding]


def find_checkpoints(
    lake: Lake,
    sql_folder: Path,
    study: Study,
    teacher: str | None = None,
    source: str | None = None,
    terms: str | None = None,
) -> Search:
    """Checkpoints, including earlier ones of a run, tuned on a row that meets all given conditions.

    Raises AuditError for an unknown name. Otherwise a mistyped name would look like "in no checkpoint".
    """
    current = dict(lake.read(TUNED_CHECKPOINT, columns=["run", "fingerprint"]).iter_rows())
    terms_now = {teacher.name: teacher.terms for teacher in study.teachers}
    collected = history(lake, RESPONSES)
    frames, unknown = [TUNED_ROWS.to_frame()], []
    for uri in folders(lake):
        try:
            checkpoint = checkpoint_at(lake, uri)
            rows = checkpoint_rows(lake, sql_folder, checkpoint)
        except (AuditError, LakeError, NotMaterializedError, duckdb.Error) as error:
            run, fingerprint = Path(uri).parts[-2:]
            subject = f"checkpoint {run} ({fingerprint})"
            unknown.append(Finding(subject, f"its rows cannot be read: {error}", False))
            continue
        terms_then = _terms_then(collected, checkpoint, set(rows["teacher"]))
        is_current = current.get(checkpoint.run) == checkpoint.fingerprint
        frames.append(_tuned_rows(checkpoint, rows, is_current, terms_then, terms_now))
    tuned_rows = pl.concat(frames)
    _refuse_unknown("teacher", teacher, [*terms_now, *tuned_rows["teacher"]])
    sources = [source.name for source in study.instructions.sources]
    _refuse_unknown("source", source, [*sources, *tuned_rows["source"]])
    declared = [commit.declared.get("terms") for commit in collected]
    _refuse_unknown("terms", terms, [*terms_now.values(), *declared])
    warehouse = Warehouse(lake, sql_folder)
    warehouse.register("tuned_rows", tuned_rows)
    found = warehouse.query("audit/checkpoints_with", teacher=teacher, source=source, terms=terms)
    return Search(found, unknown)


def _refuse_unknown(what: str, asked: str | None, known: Sequence[str | None]) -> None:
    names = sorted({name for name in known if name is not None})
    if asked is not None and asked not in names:
        raise AuditError(f"unknown {what} {asked!r}; known: {', '.join(names) or 'none'}")


def _terms_then(collected: list[Commit], checkpoint: Checkpoint, teachers: set[str]) -> dict[str, str | None]:
    """Each teacher's terms of use in the study file when its responses were collected."""
    version = checkpoint.manifest["origins"]["versions"]["responses"]
    commits = {teacher: commit_of(collected, {"teacher": teacher}, version) for teacher in teachers}
    return {teacher: commit.declared.get("terms") for teacher, commit in commits.items() if commit}


def _tuned_rows(
    checkpoint: Checkpoint,
    rows: pl.DataFrame,
    is_current: bool,
    terms_then: dict[str, str | None],
    terms_now: dict[str, str | None],
) -> pl.DataFrame:
    tuned = rows.filter(~pl.col("response_id").is_in(list(checkpoint.manifest["failed_rows"])))
    teacher = pl.col("teacher")
    return tuned.with_columns(
        run=pl.lit(checkpoint.run),
        fingerprint=pl.lit(checkpoint.fingerprint),
        uri=pl.lit(checkpoint.uri),
        is_current=pl.lit(is_current),
        rows_in_all=pl.lit(tuned.height, pl.Int64),
        terms_then=teacher.replace_strict(terms_then, default=None, return_dtype=pl.String),
        terms_now=teacher.replace_strict(terms_now, default=None, return_dtype=pl.String),
    ).select(TUNED_ROWS.names())
