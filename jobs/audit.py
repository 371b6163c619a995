"""`python -m jobs.audit STUDY …`: trace a ranking, a model or a score back to its rows, or explain a change.

    ranking                     audit the newest ranking (--version N for another) and verify every hash;
                                this is the default
    checkpoint RUN              audit the run's tuned model and verify every hash
    evaluation RUN BENCHMARK    audit the run's score on a benchmark and verify every hash
    checkpoints --teacher T     list the models tuned on outputs of a teacher (--source S, --terms T)
    why TEACHER                 list why a teacher's responses were generated or scored again
    rankings                    compare the last two rankings (--before N, --after M)

The exit status is 1 if something does not match, 2 if the question cannot be answered.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl

from preceptor.audit.audit import Audit
from preceptor.audit.changes import RankingChange, ranking_change, why_rescored
from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.evaluation import audit_evaluation
from preceptor.audit.export import earlier_heads, export_audit
from preceptor.audit.finding import wrong
from preceptor.audit.folder import AuditError
from preceptor.audit.ranking import audit_ranking
from preceptor.audit.search import find_checkpoints
from preceptor.audit.stored import since
from preceptor.audit.words import audit_text
from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.study.load import StudyError, load_study

SQL = Path(__file__).parent.parent / "sql"


def main() -> None:
    """Answer the question on the command line."""
    options = _options()
    try:
        study = load_study(options.study)
        lake = Lake(store_root(), study.name)
        match options.question:
            case "ranking":
                whole = options.export is not None
                sound = _audited(lake, audit_ranking(lake, SQL, options.version, whole), options)
            case "checkpoint":
                sound = _audited(lake, audit_checkpoint(lake, SQL, options.run, options.fingerprint), options)
            case "evaluation":
                sound = _audited(lake, audit_evaluation(lake, SQL, options.run, options.benchmark), options)
            case "checkpoints":
                asked = {"teacher": options.teacher, "source": options.source, "terms": options.terms}
                search = find_checkpoints(lake, SQL, study, **asked)
                _show(search.found, "no checkpoint holds such rows")
                print("\n".join(str(finding) for finding in search.unknown))
                sound = not search.unknown
            case "why":
                sound = _show(why_rescored(lake, SQL, options.teacher), "never")
            case "rankings":
                sound = _changed(ranking_change(lake, SQL, options.before, options.after))
    except (StudyError, AuditError, LakeError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if sound else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", help="the study's YAML file")
    questions = parser.add_subparsers(dest="question")
    parser.set_defaults(question="ranking", version=None, export=None, since=None)
    ranking = questions.add_parser("ranking")
    ranking.add_argument("--version", type=int, help="a version of car_table")
    checkpoint = questions.add_parser("checkpoint")
    checkpoint.add_argument("run")
    checkpoint.add_argument("--fingerprint", help="an earlier model of the run: the name of its folder")
    evaluation = questions.add_parser("evaluation")
    evaluation.add_argument("run")
    evaluation.add_argument("benchmark")
    for question in (ranking, checkpoint, evaluation):
        question.add_argument("--export", type=Path, help="write the whole audit, rows included, as JSON")
        question.add_argument(
            "--since",
            type=Path,
            help="an earlier export: verify that the history it records has not changed",
        )
    found = questions.add_parser("checkpoints")
    for what in ("--teacher", "--source", "--terms"):
        found.add_argument(what)
    questions.add_parser("why").add_argument("teacher")
    rankings = questions.add_parser("rankings")
    for version in ("--before", "--after"):
        rankings.add_argument(version, type=int, help="a version of car_table")
    return parser.parse_args()


def _audited(lake: Lake, audit: Audit, options: argparse.Namespace) -> bool:
    if options.since is not None:
        continued = since(lake, earlier_heads(options.since), str(options.since))
        audit = replace(audit, findings=[*continued, *audit.findings])
    print("\n".join(audit_text(audit)))
    if options.export is not None:
        export_audit(audit, options.export)
        print(f"written to {options.export}")
    return not wrong(audit.findings)


def _changed(change: RankingChange) -> bool:
    print("\n".join(_heading(change)))
    _show(_side_by_side(change.teachers), "no teacher's rank changed")
    print("\nChanged inputs of the rankings:")
    return _show(change.partitions, "nothing")


def _side_by_side(teachers: pl.DataFrame) -> pl.DataFrame:
    """Before and after, joined into one column per value."""
    pairs = ("rank", "car", "mean_reward", "mean_loss", "instructions")
    return teachers.select(
        "base",
        "teacher",
        "change",
        *(
            pl.format("{} → {}", _text(f"{name}_before"), _text(f"{name}_after")).alias(name)
            for name in pairs
        ),
    )


def _text(column: str) -> pl.Expr:
    value = pl.col(column)
    return value.round(4).cast(pl.String).fill_null("–")


def _heading(change: RankingChange) -> Iterator[str]:
    for word, ranking in (("before", change.before), ("after", change.after)):
        yield f"{word}: car_table version {ranking.version}, {ranking.time:%Y-%m-%d %H:%M} UTC"
    yield from change.settings


def _show(rows: pl.DataFrame, nothing: str) -> bool:
    """Print all rows of a frame as DuckDB's shell does."""
    if rows.is_empty():
        print(nothing)
    else:
        session = duckdb.connect()
        session.register("rows", rows.to_arrow())
        session.table("rows").show(max_rows=rows.height + 1, max_width=10_000)
    return True


if __name__ == "__main__":
    main()
