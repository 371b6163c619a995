"""The report's tables as formatted text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from preceptor.report.answer import BaseSummary
from preceptor.report.evidence import Evidence
from preceptor.report.headline import PAIRED, told_apart
from preceptor.report.missing import failures
from preceptor.report.outcome import BenchmarkOutcome
from preceptor.report.reward_check import RewardCheck
from preceptor.report.words import (
    NOTHING,
    column,
    decimals,
    listed,
    measured,
    number,
    p_value,
    ranks,
    share,
    span,
)
from preceptor.selection.recipes import shortfall
from preceptor.study.recipes import AnyRecipe

UNTUNED = "untuned base"  # shown as the recipe; no recipe's name contains a blank
APART = (
    f"Ranks come from a {PAIRED} of two teachers on the same resampled instructions. It can separate teachers"
    " whose CAR intervals overlap, because each interval covers one teacher alone."
)


@dataclass(frozen=True)
class Listing:
    """A table's column names and rows: `words` text columns, then numbers, then `last_words` text columns.

    The most important columns come first, because a phone shows only those without scrolling.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: int = 1
    last_words: int = 0
    title: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heat:
    """A table of shares. A row is its name and, per column, the text and the share that colours the cell."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, list[tuple[str, float | None]]]]


def outcome_listing(answers: Sequence[BaseSummary], correlations: pl.DataFrame) -> Listing:
    """The first student per base and benchmark, and how well CAR predicted the order of all students."""
    columns = (
        "base and benchmark",
        "first student",
        "CAR's ρ",
        "p adjusted",
        "its 95 % interval",
        "score (95 % interval)",
    )
    rows = [_outcome(answer.base, outcome, correlations) for answer in answers for outcome in answer.outcomes]
    return Listing(columns, rows, words=2, last_words=1)


def _outcome(base: str, outcome: BenchmarkOutcome, correlations: pl.DataFrame) -> tuple[str, ...]:
    found = correlations.filter(base=base, benchmark=outcome.benchmark, predictor="CAR").row(0, named=True)
    interval = span(decimals(found["low"]), decimals(found["high"]))
    tested = p_value(found["p_adjusted"]) if found["untested"] is None else "not tested"
    agreed = decimals(found["rho"]), tested, interval
    return f"{base} on {outcome.benchmark}", outcome.best, *agreed, f"{outcome.metric} {outcome.score}"


def ranking_listing(ranked: pl.DataFrame, confidence: float) -> Listing:
    """One base's teachers by rank."""
    interval = f"{confidence:.0%} interval".replace("%", " %")
    columns = ("teacher", "rank", "possible", "CAR", interval, "reward r", "loss L", "rows", "scored")
    measures = ("car", "car_low", "car_high", "mean_reward", "mean_loss")
    texts = {name: column(ranked[name].to_list()) for name in measures}
    rows = [
        (
            row["teacher"],
            str(row["rank"]),
            ranks(row["rank_low"], row["rank_high"]),
            texts["car"][place],
            span(texts["car_low"][place], texts["car_high"][place]),
            texts["mean_reward"][place],
            texts["mean_loss"][place],
            f"{row['instructions']:,}",
            share(row["tokens_scored"]),
        )
        for place, row in enumerate(ranked.iter_rows(named=True))
    ]
    paired = (APART,) if told_apart(ranked) else ()
    return Listing(columns, rows, notes=paired)


def predictor_listings(correlations: pl.DataFrame) -> list[Listing]:
    """ρ of every predictor, one table per base and benchmark, highest first."""
    columns = ("predictor", "ρ", "95 % interval", "p", "p adjusted", "|ρ| needed", "teachers", "left out")
    listings = []
    for (base, benchmark), rows in correlations.group_by("base", "benchmark", maintain_order=True):
        highest = rows.sort("rho", descending=True, nulls_last=True, maintain_order=True)
        lines = [_predictor(row) for row in highest.iter_rows(named=True)]
        untested = rows["untested"].drop_nulls().unique(maintain_order=True).to_list()
        notes = tuple(f"Not tested: {why}." for why in untested)
        listings.append(Listing(columns, lines, title=f"{base} on {benchmark}", notes=notes))
    return listings


def _predictor(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["predictor"],
        decimals(row["rho"]),
        span(decimals(row["low"]), decimals(row["high"])),
        p_value(row["p_value"]),
        p_value(row["p_adjusted"]),
        decimals(row["smallest_significant"]),
        str(row["n"]),
        str(row["left_out"]),
    )


def reward_listing(check: RewardCheck) -> Listing:
    """Accuracy of each teacher, highest first, and the AUC of the reward within its responses."""
    most = check.teachers.sort("accuracy", descending=True, nulls_last=True, maintain_order=True)
    rows = [
        (teacher, f"{responses:,}", share(accuracy), decimals(auc, 3))
        for teacher, responses, accuracy, auc in most.iter_rows()
    ]
    rows.append(("all teachers", f"{check.responses:,}", share(check.accuracy), decimals(check.auc, 3)))
    return Listing(("teacher", "checked responses", "right", "AUC of the reward"), rows)


def score_listings(scores: pl.DataFrame, main: bool) -> list[Listing]:
    """All scores: one table per benchmark, metric, category, method, judge and reference."""
    how = ["benchmark", "metric", "category", "unit", "method", "judge", "reference"]
    listings = []
    for key, rows in scores.filter(pl.col("main") == main).group_by(how, maintain_order=True):
        benchmark, metric, category, unit, method, judge, reference = key
        notes = (
            f"Method: {str(method).rstrip('.')}.",
            f"Judge: {judge or 'none'}.",
            f"Compared with: {reference or 'the right answers'}.",
        )
        listings.append(
            Listing(
                (
                    *("run", "score", "95 % interval", "items", "judged", "failed"),
                    *("filtered", "expected", "base", "recipe"),
                ),
                [_score(row) for row in _best_first(rows).iter_rows(named=True)],
                last_words=2,
                title=f"{benchmark}: {metric}{f' on {category}' if category else ''}{_in(unit)}",
                notes=notes,
            )
        )
    return listings


def _best_first(rows: pl.DataFrame) -> pl.DataFrame:
    """The best run first within each base; the highest first if the metric is not the main one."""
    highest = pl.col("higher_is_better") | ~pl.col("main")
    better = pl.when(highest).then("value").otherwise(-pl.col("value"))
    bases = rows.with_columns(better=better).partition_by("base", maintain_order=True)
    return pl.concat(
        base.sort("better", descending=True, nulls_last=True, maintain_order=True) for base in bases
    )


def _in(unit: str) -> str:
    """The unit, unless the numbers show it."""
    return "" if unit in ("share", "grade", "perplexity") else f", {unit}"


def _score(row: dict[str, Any]) -> tuple[str, ...]:
    low, value, high = (measured(row[name], row["unit"]) for name in ("low", "value", "high"))
    counts = (f"{row[name]:,}" for name in ("n", "judged", "failed", "filtered", "expected"))
    recipe = UNTUNED if row["untuned"] else row["recipe"]
    return row["run"], value, span(low, high), *counts, row["base"], recipe


def difference_listings(differences: pl.DataFrame) -> list[Listing]:
    """All pairs of runs of a base on a benchmark, then each run and its untuned base."""
    columns = ("ahead", "behind", "by", "95 % interval", "p", "p adjusted", "common items", "left out")
    listings = []
    for (benchmark, base, untuned), rows in differences.drop_nulls("difference").group_by(
        "benchmark", "base", "untuned", maintain_order=True
    ):
        methods = " | ".join(rows["method"].unique(maintain_order=True))
        metrics = listed(rows["metric"].unique(maintain_order=True).to_list())
        notes = (
            f"Tested: {metrics}, paired by item: {methods}.",
            "p adjusted: by Holm, over the base's "
            + ("runs, each with the untuned base." if untuned else "pairs of runs."),
        )
        lines = [_difference(row) for row in rows.iter_rows(named=True)]
        listings.append(
            Listing(columns, lines, words=2, title=_compared(base, benchmark, untuned), notes=notes)
        )
    return listings


def _compared(base: object, benchmark: object, untuned: object) -> str:
    """The title of a table of differences."""
    return f"{base} on {benchmark}{', each run and the untuned base' if untuned else ''}"


def _difference(row: dict[str, Any]) -> tuple[str, ...]:
    """One difference with the better run first: the larger mean, or the smaller if lower is better."""
    runs, ends, value = (row["first_run"], row["second_run"]), (row["low"], row["high"]), row["difference"]
    if (value < 0) == row["higher_is_better"]:
        runs = runs[::-1]
    if value < 0:
        ends, value = (-row["high"], -row["low"]), -value
    shown = [decimals(number, 3) for number in (value, *ends)]
    tests = p_value(row["p_value"]), p_value(row["p_adjusted"])
    return *runs, shown[0], span(*shown[1:]), *tests, f"{row['n']:,}", f"{row['left_out']:,}"


def judge_listing(agreements: pl.DataFrame) -> Listing:
    """All pairs of judges of the same answers."""
    columns = ("judge", "other judge", "agreement", "95 % interval", "same verdict", "items", "answers")
    rows = [
        (
            f"{row['judge']} ({row['benchmark']})",
            f"{row['other_judge']} ({row['other_benchmark']})",
            share(row["agreement"]),
            span(share(row["low"]), share(row["high"])),
            share(row["plain"]),
            f"{row['items']:,}",
            f"{row['answers']:,}",
        )
        for row in agreements.iter_rows(named=True)
    ]
    notes = (
        "Agreement: 1 for the same verdict (win, tie or lose), 0.5 if exactly one judge says tie (LIMA,"
        " section 4). Mean over items with Wilson's interval.",
    )
    return Listing(columns, rows, words=2, notes=notes)


def checkpoint_listing(checkpoints: pl.DataFrame) -> Listing:
    """The training facts of each tuned model, in the study's order."""
    columns = ("run", "final loss", "steps", "rows", "cut", "tokens", "seed", "base", "recipe", "tuning")
    rows = [
        (
            row["run"],
            decimals(row["final_loss"], 3),
            *(number(row[name], 9) for name in ("steps", "rows", "truncated_rows", "tokens", "seed")),
            *(row[name] for name in ("base", "recipe", "tuning")),
        )
        for row in checkpoints.filter(pl.col("final_loss").is_not_null()).iter_rows(named=True)
    ]
    return Listing(columns, rows, last_words=3, notes=("Cut: rows that were too long and lost their end.",))


def selection_listing(selections: pl.DataFrame, recipes: Sequence[AnyRecipe]) -> Listing:
    """How many rows each recipe asked for and chose, and which responses it left out."""
    asked = {recipe.name: recipe for recipe in recipes}
    columns = (
        "recipe",
        "rows asked for",
        "rows chosen",
        "teachers",
        "cut, left out",
        "cut, kept",
        "end not known",
        "IFD above 1",
    )
    counts = ("rows", "teachers", "cut_left_out", "cut_kept", "end_not_known", "above_one_left_out")
    rows = [
        (
            row["recipe"],
            "all" if (rows_asked := asked[row["recipe"]].rows) is None else f"{rows_asked:,}",
            *(f"{row[count]:,}" for count in counts),
        )
        for row in selections.iter_rows(named=True)
    ]
    short = (
        shortfall(asked[recipe], chosen, cut, above_one)
        for recipe, chosen, cut, above_one in selections.select(
            "recipe", "rows", "cut_left_out", "above_one_left_out"
        ).iter_rows()
    )
    notes = (
        *(f"Fewer rows than asked for: {sentence}." for sentence in short if sentence),
        "Cut: the response stopped at the teacher's token limit. The recipe leaves it out, or keeps it and"
        " trains on it without the end-of-turn token.",
        "End not known: the recording does not say how the response ended. It counts as complete.",
    )
    return Listing(columns, rows, notes=notes)


def failure_listing(evidence: Evidence) -> Listing:
    """Failed rows per table, with the reasons."""
    rows = [
        (table, failed, total, reasons or NOTHING) for table, total, failed, reasons in failures(evidence)
    ]
    return Listing(("table", "failed", "rows", "most common reasons"), rows, last_words=1)


def task_heats(tasks: pl.DataFrame) -> list[Heat]:
    """The mean outcome by recipe and kind of item over the recipe's runs, per benchmark and base."""
    heats = []
    for (benchmark, base), rows in tasks.group_by("benchmark", "base", maintain_order=True):
        kinds = rows["task"].unique().sort().to_list()
        lines = []
        for (recipe,), cells in rows.group_by("recipe", maintain_order=True):
            values = dict(cells.select("task", "value").iter_rows())
            lines.append(
                (
                    UNTUNED if recipe is None else str(recipe),
                    [(_percent(values.get(kind)), values.get(kind)) for kind in kinds],
                )
            )
        heats.append(Heat(f"{base} on {benchmark}", tuple(kinds), lines))
    return heats


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f}"
