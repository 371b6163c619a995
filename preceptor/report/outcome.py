"""Results of tuning: the best student, and the place of the student of CAR's first teacher."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from preceptor.report.evidence import Evidence
from preceptor.report.rank_correlation import conclusion, correlation_of
from preceptor.report.words import counted, listed, measured, p_equals, span
from preceptor.statistics.multiple import LEVEL

NOBODY = "nobody"
DIGITS = 12  # sums of the same outcomes in another order differ only in later digits
ONE_SEED = "the two trained models differ, but one training seed each says little about their teachers"
Row = dict[str, Any]


@dataclass(frozen=True)
class BenchmarkOutcome:
    """The result on one benchmark, and how well CAR predicted it; `best` may be NOBODY."""

    benchmark: str
    metric: str
    best: str
    score: str
    sentence: str
    conclusion: str


def outcomes(evidence: Evidence, base: str, first: list[str]) -> tuple[BenchmarkOutcome, ...]:
    """One outcome per benchmark on which a student of this base has a score.

    `first` names CAR's first teachers.
    """
    known = evidence.means.filter(pl.col("base") == base, pl.col("value").is_not_null())
    return tuple(
        _outcome(evidence, _placed(teachers), first)
        for _, teachers in known.group_by("benchmark", "metric", maintain_order=True)
    )


def _placed(teachers: pl.DataFrame) -> pl.DataFrame:
    """Teachers by the place of their students, best first; equal scores share a place."""
    better = pl.when("higher_is_better").then("value").otherwise(-pl.col("value")).round(DIGITS)
    place = better.rank("min", descending=True).cast(pl.Int64)
    return teachers.with_columns(place=place).sort("place", maintain_order=True)


def _outcome(evidence: Evidence, ordered: pl.DataFrame, first: list[str]) -> BenchmarkOutcome:
    top = ordered.row(0, named=True)
    row = evidence.rank_correlations.filter(base=top["base"], benchmark=top["benchmark"], predictor="CAR")
    best, sentence = _best(evidence, ordered, first)
    value, low, high = (measured(top[name], top["unit"]) for name in ("value", "low", "high"))
    return BenchmarkOutcome(
        top["benchmark"],
        top["metric"],
        best,
        f"{value} ({span(low, high)})",
        sentence,
        conclusion(correlation_of(row.row(0, named=True))),
    )


def _best(evidence: Evidence, ordered: pl.DataFrame, first: list[str]) -> tuple[str, str]:
    """The best student, and the place of CAR's first teacher; NOBODY if all scores are equal."""
    best = ordered.filter(place=1)["teacher"].to_list()
    top = ordered.row(0, named=True)
    if len(best) == ordered.height > 1:
        same = measured(top["value"], top["unit"])
        return NOBODY, f"All {ordered.height} tuned students score {same}, so none is best."
    text = _place_of_first(evidence, ordered, first, best) if first else ""
    if top["doubtful"]:
        text = f"{text} It may have learned little or nothing (see “Predicted and actual”).".strip()
    before = _untuned_score(evidence, top)
    if before is None or top["differs"] is None:
        return listed(best), text
    score = f"The untuned base scores {measured(before, top['unit'])}."
    if not _better(ordered, before).any():
        return NOBODY, f"{score} No student is significantly better, so none is best."
    if top["differs"] is False:
        score = f"{score[:-1]}; the first student does not differ significantly from it."
    return listed(best), f"{text} {score}".strip()


def _untuned_score(evidence: Evidence, top: Row) -> float | None:
    """The base's score before tuning."""
    rows = evidence.scores.filter("main", "untuned", base=top["base"], benchmark=top["benchmark"])
    values = rows["value"].drop_nulls()
    return None if values.is_empty() else float(values[0])


def _better(ordered: pl.DataFrame, before: float) -> pl.Series:
    """Which students are significantly better than the untuned base; an untested one may be."""
    above = pl.when("higher_is_better").then(pl.col("value") > before).otherwise(pl.col("value") < before)
    return ordered.select(above & pl.col("differs").fill_null(value=True)).to_series()


def _place_of_first(evidence: Evidence, ordered: pl.DataFrame, first: list[str], best: list[str]) -> str:
    """The place of the student of CAR's first teacher among the tuned students."""
    among = f"of {counted(ordered.height, 'tuned student')}"
    picked = ordered.filter(pl.col("teacher").is_in(first))
    if picked.is_empty():
        return f"{listed(best)} leads. No student of CAR's first teacher has a score."
    pick, top = picked.row(0, named=True), ordered.row(0, named=True)
    if pick["place"] > 1:
        return (
            f"The student of CAR's first teacher, {pick['teacher']}, has place {pick['place']} {among} with"
            f" {measured(pick['value'], pick['unit'])}: {_behind(pick, top)} behind;"
            f" {_compared(evidence, top, pick)}."
        )
    if len(best) > 1:
        others = listed([teacher for teacher in best if teacher != pick["teacher"]])
        return f"CAR's first teacher, {pick['teacher']}, shares the first place with {others}, {among}."
    if ordered.height == 1:
        return "This is CAR's first teacher. No other student has a score."
    second = ordered.row(1, named=True)
    return (
        f"This is CAR's first teacher: first {among}, {_behind(second, top)} ahead of"
        f" {second['teacher']}; {_compared(evidence, top, second)}."
    )


def _behind(one: Row, other: Row) -> str:
    return _points(abs(other["value"] - one["value"]), one["unit"])


def _points(gap: float, unit: str) -> str:
    return f"{100 * gap:.1f} points" if unit == "share" else f"{gap:.3f}"


def _compared(evidence: Evidence, top: Row, other: Row) -> str:
    """Whether the gap between two teachers' students is significant, and in which test."""
    if (top["runs"], other["runs"]) == (1, 1):
        return _models(evidence.differences, top, other) or _overlap(top, other)
    return _teachers(evidence.seeds, top, other) or _overlap(top, other)


def _models(differences: pl.DataFrame, top: Row, other: Row) -> str | None:
    """The result of the paired test of two runs; None if there is none."""
    runs = [top["run"], other["run"]]
    rows = differences.filter(
        pl.col("benchmark") == top["benchmark"],
        pl.col("first_run").is_in(runs),
        pl.col("second_run").is_in(runs),
    ).drop_nulls("p_adjusted")
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    ahead = row["difference"] * (1 if row["first_run"] == top["run"] else -1)
    tested = _tested(row, ahead if top["higher_is_better"] else -ahead, top, other)
    p = f"({p_equals(row['p_adjusted'])}, adjusted for all pairs of runs)"
    if row["p_adjusted"] > LEVEL:
        return f"{tested} is not significant {p}"
    return f"{tested} is significant {p}: {ONE_SEED}"


def _tested(row: Row, ahead: float, top: Row, other: Row) -> str:
    """What was tested. Names the tested gap if it differs from the gap of the scores."""
    items = f"tested over {counted(row['n'], 'common item')}"
    gap = abs(top["value"] - other["value"])
    if row["metric"] == top["metric"] and _points(ahead, top["unit"]) == _points(gap, top["unit"]):
        return f"{items}, this"
    way = "ahead" if ahead > 0 else "behind"
    return f"{items}, {top['teacher']} is {_points(abs(ahead), top['unit'])} {way} in {row['metric']}, which"


def _teachers(seeds: pl.DataFrame, top: Row, other: Row) -> str | None:
    """The result of the test over several training seeds of two teachers, or why there is none."""
    pair = [top["teacher"], other["teacher"]]
    rows = seeds.filter(
        pl.col("base") == top["base"],
        pl.col("benchmark") == top["benchmark"],
        pl.col("first_teacher").is_in(pair),
        pl.col("second_teacher").is_in(pair),
    )
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    if row["p_adjusted"] is None:
        return f"not tested: {row['error']}"
    counts = {row["first_teacher"]: row["first_seeds"], row["second_teacher"]: row["second_seeds"]}
    result = "is significant" if row["p_adjusted"] <= LEVEL else "is not significant"
    return (
        f"over {counts[pair[0]]} and {counts[pair[1]]} training seeds and over items, this {result}"
        f" ({p_equals(row['p_adjusted'])}, adjusted for all pairs of teachers)"
    )


def _overlap(top: Row, other: Row) -> str:
    if None in (top["low"], top["high"], other["low"], other["high"]):
        return "not tested, and one of them has no interval"
    apart = top["high"] < other["low"] or other["high"] < top["low"]
    return f"not tested, and their intervals {'do not overlap' if apart else 'overlap'}"
