"""Missing data: teachers without a rank, failed rows, runs without a result, doubtful runs."""

import polars as pl

from preceptor.report.evidence import Evidence
from preceptor.report.words import counted, listed
from preceptor.study.recipes import OneTeacher
from preceptor.study.schema import Study
from preceptor.study.untuned import evaluated_runs, untuned_runs
from preceptor.tuning.learning import doubt


def unranked(study: Study, evidence: Evidence) -> list[str]:
    """Teachers that are not in a base's ranking, with the reason."""
    sentences = []
    for base in study.bases:
        rows = evidence.ranking.filter(base=base.name)
        if rows.is_empty():
            sentences.append(f"{base.name}: the CAR table has no rows for this base")
            continue
        missing = rows.filter(pl.col("missing").is_not_null())
        for (why,), teachers in missing.group_by("missing", maintain_order=True):
            sentences.append(f"{base.name}: {listed(teachers['teacher'].to_list())} – {why}")
        lost = {teacher.name for teacher in study.teachers} - set(rows["teacher"])
        if lost:
            sentences.append(
                f"{base.name}: {listed(sorted(lost))} – added to the study after its CAR table was made"
            )
    return sentences


def failures(evidence: Evidence) -> list[tuple[str, str, str, str]]:
    """Per table with rows: its name, its rows, how many failed, and the most common reasons."""
    found = []
    for (table,), rows in evidence.failures.group_by("table_name", maintain_order=True):
        failed = rows.filter(pl.col("reason").is_not_null())
        reasons = "; ".join(
            f"{count:,} × {reason}" for count, reason in failed.select("rows", "reason").head(3).iter_rows()
        )
        more = f"; and {counted(failed.height - 3, 'more reason')}" if failed.height > 3 else ""
        found.append((str(table), f"{rows['total'][0]:,}", f"{failed['rows'].sum():,}", reasons + more))
    return found


def runs_without_results(study: Study, evidence: Evidence) -> list[str]:
    """Runs without a tuned model, runs and untuned bases without a score, and scores without a value."""
    tuned = set(evidence.checkpoints.filter(pl.col("final_loss").is_not_null())["run"])
    scored = set(evidence.scores.select("run", "benchmark").iter_rows())
    untuned = [run.name for run in study.runs if run.name not in tuned]
    sentences = [f"Not tuned with the current settings: {listed(untuned, 20)}"] if untuned else []
    there = [run for run in evaluated_runs(study) if run in tuned | untuned_runs(study).keys()]
    for evaluation in study.evaluations:
        lacking = [run for run in there if (run, evaluation.name) not in scored]
        if lacking:
            sentences.append(f"{evaluation.name}: no score for {listed(lacking, 20)}")
    empty = evidence.scores.filter(pl.col("value").is_null())
    named = empty.select("run", "benchmark", "metric", "category", "error").iter_rows()
    return sentences + [
        f"{run}: {benchmark} has no {metric}{f' on {category}' if category else ''} – {error}"
        for run, benchmark, metric, category, error in named
    ]


def doubtful_runs(checkpoints: pl.DataFrame) -> dict[str, str]:
    """Runs with few steps, or whose training loss did not fall, each with a sentence.

    `checkpoints` has rows of `tuned_checkpoint` or of the evidence; runs without a model are skipped.
    """
    there = pl.col("steps").is_not_null() & (pl.col("losses").list.len() > 0)
    tuned = checkpoints.filter(there).select("run", "steps", "losses")
    doubts = {run: doubt(run, steps, losses) for run, steps, losses in tuned.iter_rows()}
    return {run: why for run, why in doubts.items() if why is not None}


def unlike_runs(study: Study) -> list[str]:
    """Bases whose runs differ in more than the teacher."""
    sentences = []
    for base in study.bases:
        ways: dict[str, set[tuple[str, int | None]]] = {}
        for run in study.runs:
            recipe = study.recipe(run.recipe)
            if run.base == base.name and isinstance(recipe, OneTeacher):
                ways.setdefault(recipe.teacher, set()).add((run.tuning, recipe.rows))
        if len({frozenset(way) for way in ways.values()}) > 1:
            sentences.append(f"{base.name}: runs of its teachers differ in tuning or in the number of rows")
    return sentences
