"""The short answer per base: whom CAR ranks first, whose student came out best, and how well they agree."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from preceptor.report.agreement import LEVEL, Agreement, conclusion
from preceptor.report.evidence import Evidence
from preceptor.report.words import counted, listed, measured, p_value, ranks, span
from preceptor.study.schema import Study


@dataclass(frozen=True)
class Outcome:
    """What came out on one benchmark, and how CAR's prediction fared."""

    benchmark: str
    metric: str
    best: str
    score: str
    sentence: str
    conclusion: str


@dataclass(frozen=True)
class Answer:
    """One base's answer; `first` is None where no teacher is ranked, and `sentence` then says so."""

    base: str
    first: str | None
    rank: str
    sentence: str
    outcomes: tuple[Outcome, ...]
    silence: str  # why there is no outcome; empty where there is one


def answers(study: Study, evidence: Evidence) -> list[Answer]:
    """The study's bases in its order."""
    return [_answer(study, evidence, base.name) for base in study.bases]


def as_agreement(row: dict[str, Any]) -> Agreement:
    """A row of `agreements` as what it was made of."""
    names = ("rho", "n", "low", "high", "p_value", "smallest_significant", "reason")
    return Agreement(**{name: row[name] for name in names})


def _answer(study: Study, evidence: Evidence, base: str) -> Answer:
    ranked = evidence.ranking.filter(pl.col("base") == base, pl.col("missing").is_null())
    first = ranked.filter(rank=1)["teacher"].to_list()
    outcomes = _outcomes(evidence, base, first)
    silence = "" if outcomes else _silence(study, evidence, base)
    if not first:
        return Answer(base, None, "", _unranked(evidence, base), outcomes, silence)
    low, high = ranked.filter(rank=1).select(pl.col("rank_low").min(), pl.col("rank_high").max()).row(0)
    rank = f"rank {ranks(low, high)} of {ranked.height}"
    return Answer(base, listed(first), rank, _ranking_sentence(ranked, first), outcomes, silence)


def _ranking_sentence(ranked: pl.DataFrame, first: list[str]) -> str:
    rivals = ranked.filter(pl.col("rank_low") == 1, ~pl.col("teacher").is_in(first))["teacher"].to_list()
    if len(first) > 1:
        return f"{listed(first)} share the highest CAR."
    if not rivals:
        return "No other teacher could be first: the rank intervals hold jointly over all of them."
    return f"The data cannot tell it from {listed(rivals)}, which could be first as well."


def _unranked(evidence: Evidence, base: str) -> str:
    reasons = evidence.ranking.filter(base=base)["missing"].drop_nulls().unique(maintain_order=True).to_list()
    why = f": {'; '.join(reasons)}" if reasons else ": the CAR table holds no row of it"
    return f"No teacher is ranked for this base{why}."


def _outcomes(evidence: Evidence, base: str, first: list[str]) -> tuple[Outcome, ...]:
    found = []
    known = evidence.means.filter(pl.col("base") == base, pl.col("value").is_not_null())
    for (benchmark, metric), teachers in known.group_by("benchmark", "metric", maintain_order=True):
        lower_is_better = pl.when("higher_is_better").then(-pl.col("value")).otherwise("value")
        place = lower_is_better.rank("min").cast(pl.Int64)
        ordered = teachers.with_columns(place=place).sort("place", maintain_order=True)
        best = ordered.filter(place=1)["teacher"].to_list()
        row = evidence.agreements.row(
            by_predicate=(pl.col("base") == base)
            & (pl.col("benchmark") == benchmark)
            & (pl.col("predictor") == "CAR"),
            named=True,
        )
        top = ordered.row(0, named=True)
        value, low, high = (measured(top[name], top["unit"]) for name in ("value", "low", "high"))
        score = f"{value} ({span(low, high)})"
        sentence, agreed = _fate(ordered, first, best, evidence.differences), conclusion(as_agreement(row))
        found.append(Outcome(str(benchmark), str(metric), listed(best), score, sentence, agreed))
    return tuple(found)


def _fate(ordered: pl.DataFrame, first: list[str], best: list[str], differences: pl.DataFrame) -> str:
    """What became of CAR's first teacher among the tuned students."""
    if not first:
        return ""
    among = f"of {counted(ordered.height, 'tuned student')}"
    picked = ordered.filter(pl.col("teacher").is_in(first))
    if picked.is_empty():
        return f"No student of CAR's first teacher was measured, so {listed(best)} leads without it."
    pick, top = picked.row(0, named=True), ordered.row(0, named=True)
    if pick["place"] == 1:
        return f"That is CAR's first teacher: best {among}."
    return (
        f"The student of CAR's first teacher, {pick['teacher']}, has place {pick['place']} {among} with"
        f" {measured(pick['value'], pick['unit'])}: {_behind(pick, top)}, and"
        f" {_tested(pick, top, differences) or _overlap(pick, top)}."
    )


def _behind(pick: dict[str, Any], top: dict[str, Any]) -> str:
    gap = abs(top["value"] - pick["value"])
    return f"{100 * gap:.1f} points behind" if top["unit"] == "share" else f"{gap:.3f} behind"


def _tested(pick: dict[str, Any], top: dict[str, Any], differences: pl.DataFrame) -> str | None:
    """What the paired test of two runs says; None where a teacher has several runs, or nobody tested."""
    runs = [pick["run"], top["run"]]
    rows = differences.filter(
        pl.col("benchmark") == top["benchmark"],
        pl.col("first_run").is_in(runs),
        pl.col("second_run").is_in(runs),
    ).drop_nulls("p_adjusted")
    if rows.is_empty() or (pick["runs"], top["runs"]) != (1, 1):
        return None
    row = rows.row(0, named=True)
    ahead = row["difference"] * (1 if row["first_run"] == top["run"] else -1)
    if (ahead if top["higher_is_better"] else -ahead) <= 0:
        return "item by item it is not behind"
    told = "is more than chance" if row["p_adjusted"] <= LEVEL else "cannot be told from chance"
    return f"that, tested item by item, {told} (p {_p(row['p_adjusted'])}, adjusted for all pairs of runs)"


def _p(value: float) -> str:
    said = p_value(value)
    return said if said.startswith("<") else f"= {said}"


def _overlap(pick: dict[str, Any], top: dict[str, Any]) -> str:
    if None in (pick["low"], pick["high"], top["low"], top["high"]):
        return "one of them has no interval"
    apart = pick["high"] < top["low"] or top["high"] < pick["low"]
    return "their intervals do not overlap" if apart else "their intervals overlap"


def _silence(study: Study, evidence: Evidence, base: str) -> str:
    runs = [run for run in study.runs if run.base == base]
    if not runs:
        return "The study tunes this base on nothing: this is a ranking only, a prediction not yet tested."
    scored = evidence.checkpoints.filter(base=base).join(evidence.scores.select("run"), on="run", how="semi")
    if scored.is_empty():
        return f"None of the {counted(len(runs), 'run')} of this base has a result yet."
    return "No run of this base was tuned on one teacher's rows alone, so no teacher can be compared."
