"""Arena-Hard as a benchmark, kind `arena_hard`: two games for each answer, in swapped order."""

from dataclasses import replace
from typing import Any

import polars as pl

from preceptor.evaluation.arena_hard.battles import BATTLES, battles_of, by_one_game, parts
from preceptor.evaluation.arena_hard.categories import authors_baseline, main_category
from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates, win_rates
from preceptor.evaluation.arena_hard.influence import arena_values
from preceptor.evaluation.arena_hard.joint_style import fitted_jointly
from preceptor.evaluation.arena_hard.protocol import protocol
from preceptor.evaluation.arena_hard.reading import Arena, read_arena
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.judging.benchmark import Judged
from preceptor.evaluation.judging.reliability import reliability
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.scores import Named
from preceptor.fingerprint import file_identity
from preceptor.records import records_identity
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.study.evaluation import ArenaHard

GAMES = 2  # version of the rule from verdicts to outcomes: in v0.1 one game with a verdict is enough
PLAIN = f"Bradley-Terry win rate against the baseline, a tie is half; {BATTLES}"
STYLE = (
    f"Bradley-Terry win rate with the {{version}} authors' style features (length in words and punctuation"
    f" marks, headers, lists, bold), fitted to this run's games alone; {BATTLES}"
)
ONE_GAME = "answers that count by one game alone, as with v0.1's authors, the other having no verdict"


def check(evaluation: ArenaHard) -> None:
    """Read questions, baselines' answers and the judge's prompt. Raises BenchmarkError or RecordsError."""
    protocol(evaluation)
    if evaluation.path is not None:
        read_arena(evaluation)


def fingerprint_of(evaluation: ArenaHard, checkpoint: str) -> str:
    """Changes with the answers, the questions, the baselines' answers and the judge."""
    return _judged(evaluation).fingerprint(checkpoint)


def named(evaluation: ArenaHard) -> Named:
    """The judge's identity in one line, and the default baseline."""
    return Named(str(protocol(evaluation)), evaluation.reference)


def files(evaluation: ArenaHard) -> dict[str, Any]:
    """The names of the categories' own baselines, which are stored with their scores."""
    return {"references": {name: category.reference for name, category in evaluation.categories.items()}}


def score_items(job: EvaluationJob[ArenaHard]) -> ScoredItems:
    """Answer the questions, and let the judge compare each answer with its baseline's."""
    arena = read_arena(job.evaluation)
    judged = _judged(job.evaluation)
    return judged.score_items(job, arena.items, one_order=arena.version == "v0.1")


def metrics(job: EvaluationJob[ArenaHard], scored: ScoredItems) -> list[Metric]:
    """Win rates, plain and style-controlled, the main one first, then the judge's reliability.

    For v0.1 over all questions, for v2.0 by category.
    """
    assert scored.judgments is not None
    evaluation, arena = job.evaluation, read_arena(job.evaluation)
    results, judgments = scored.results.rows, scored.judgments.rows
    battles = battles_of(job.run, results, judgments)
    found = []
    for frame in parts(battles, arena):
        controlled = style_controlled_win_rates(frame, arena.version).win_rates
        found += _metrics("win_rate", win_rates(frame), PLAIN)
        found += _metrics("style_controlled_win_rate", controlled, STYLE.format(version=arena.version))
    found = _whole(evaluation, arena, found)
    alone = by_one_game(results, judgments)
    main = main_category(metric.category for metric in found)
    found.sort(
        key=lambda metric: (metric.category != main, metric.category, metric.name != evaluation.metric)
    )
    return [*(_told(evaluation, arena, metric, alone) for metric in found), *reliability(judgments)]


def _whole(evaluation: ArenaHard, arena: Arena, found: list[Metric]) -> list[Metric]:
    """Add an error as the metric of each category without a verdict."""
    wanted = [""] if arena.pooled else list(arena.baselines)
    lacking = set(wanted) - {metric.category for metric in found}
    return found + [
        Metric(evaluation.metric, Estimate(error=NOTHING), PLAIN, 0, category=category)
        for category in wanted
        if category in lacking
    ]


def _told(evaluation: ArenaHard, arena: Arena, metric: Metric, alone: dict[str, int]) -> Metric:
    """The metric with its category's baseline, and notes on baselines and missing games in its method."""
    there = [metric.category] if metric.category else list(arena.baselines)
    own = evaluation.categories.get(there[0]) if len(there) == 1 else None
    notes = [metric.method]
    for category in there:
        theirs = authors_baseline(arena.version, category)
        if arena.baselines[category] != theirs:
            notes.append(f"the baseline is {arena.baselines[category]}, the authors' is {theirs}")
    if count := sum(alone.get(category, 0) for category in there):
        notes.append(f"{ONE_GAME}: {count:,} of {metric.n:,}")
    reference = None if own is None else own.reference
    return replace(metric, method="; ".join(dict.fromkeys(notes)), reference=reference)


def _metrics(name: str, rates: pl.DataFrame, method: str) -> list[Metric]:
    return [
        Metric(
            name,
            Estimate(
                row["value"], row["low"], row["high"], None if row["value"] is not None else row["reason"]
            ),
            method if row["reason"] is None else f"{method}; {row['reason']}",
            row["n_items"],
            category=row["category"],
        )
        for row in rates.iter_rows(named=True)
    ]


def _judged(evaluation: ArenaHard) -> Judged:
    files = {"baseline": file_identity(evaluation.answers), **records_identity(evaluation)}
    if evaluation.categories:
        own = evaluation.categories.items()
        files["baselines"] = {name: file_identity(category.answers) for name, category in own}
    return Judged(evaluation, protocol(evaluation), files, {"games": GAMES})


KIND = Kind(
    check,
    fingerprint_of,
    score_items,
    metrics,
    named,
    files,
    values=arena_values,
    main_category=main_category,
    together=fitted_jointly,
)
