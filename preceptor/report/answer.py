"""The short answer per base: CAR's first teacher, the best student, and how well the two agree."""

from dataclasses import dataclass

import polars as pl

from preceptor.report.evidence import Evidence
from preceptor.report.first_under import first_under_sentence
from preceptor.report.outcome import BenchmarkOutcome, outcomes
from preceptor.report.words import counted, listed, ranks
from preceptor.study.schema import Study
from preceptor.suitability.table import few_instructions


@dataclass(frozen=True)
class BaseSummary:
    """One base's answer; if no teacher is ranked, `first` is None and `sentence` gives the reason."""

    base: str
    first: str | None
    rank: str
    sentence: str
    settings: str  # sensitivity of the first place to reward map, β and too few rows; empty without a ranking
    outcomes: tuple[BenchmarkOutcome, ...]
    silence: str  # why there is no outcome; empty if there is one


def answers(study: Study, evidence: Evidence) -> list[BaseSummary]:
    """One answer per base, in the study's order."""
    return [_answer(study, evidence, base.name) for base in study.bases]


def _answer(study: Study, evidence: Evidence, base: str) -> BaseSummary:
    ranked = evidence.ranking.filter(pl.col("base") == base, pl.col("missing").is_null())
    first = ranked.filter(rank=1)["teacher"].to_list()
    found = outcomes(evidence, base, first)
    silence = "" if found else _silence(study, evidence, base)
    if not first:
        return BaseSummary(base, None, "", _unranked(evidence, base), "", found, silence)
    low, high = ranked.filter(rank=1).select(pl.col("rank_low").min(), pl.col("rank_high").max()).row(0)
    rank = f"rank {ranks(low, high)} of {ranked.height}"
    sensitivity = first_under_sentence(evidence.first_under.filter(base=base), first)
    few = few_instructions(ranked)
    settings = f"{sensitivity} {few}.".strip() if few else sensitivity
    return BaseSummary(base, listed(first), rank, _ranking_sentence(ranked, first), settings, found, silence)


def _ranking_sentence(ranked: pl.DataFrame, first: list[str]) -> str:
    rivals = ranked.filter(pl.col("rank_low") == 1, ~pl.col("teacher").is_in(first))["teacher"].to_list()
    if len(first) > 1:
        return f"{listed(first)} share the highest CAR."
    if not rivals:
        return (
            "No other teacher could be first under this reward map, β and reward model. The rank intervals"
            " hold jointly for all teachers."
        )
    return f"The data cannot separate it from {listed(rivals)}, which could be first as well."


def _unranked(evidence: Evidence, base: str) -> str:
    reasons = evidence.ranking.filter(base=base)["missing"].drop_nulls().unique(maintain_order=True).to_list()
    why = f": {'; '.join(reasons)}" if reasons else ": the CAR table has no rows for it"
    return f"No teacher is ranked for this base{why}."


def _silence(study: Study, evidence: Evidence, base: str) -> str:
    runs = [run for run in study.runs if run.base == base]
    if not runs:
        return "The study has no runs for this base. The ranking is a prediction that no tuning has tested."
    scored = evidence.checkpoints.filter(base=base).join(evidence.scores.select("run"), on="run", how="semi")
    if scored.is_empty():
        return f"None of this base's {counted(len(runs), 'run')} has a result yet."
    return "No run of this base was tuned on one teacher's rows alone, so teachers cannot be compared."
