"""The short answer per base: whom CAR ranks first, whose student came out best, and how well they agree."""

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
    """One base's answer; `first` is None where no teacher is ranked, and `sentence` then says so."""

    base: str
    first: str | None
    rank: str
    sentence: str
    settings: str  # how far the first place hangs on reward map, β and too few rows; empty without a ranking
    outcomes: tuple[BenchmarkOutcome, ...]
    silence: str  # why there is no outcome; empty where there is one


def answers(study: Study, evidence: Evidence) -> list[BaseSummary]:
    """The study's bases in its order."""
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
    hangs = first_under_sentence(evidence.first_under.filter(base=base), first)
    few = few_instructions(ranked)
    settings = f"{hangs} {few}.".strip() if few else hangs
    return BaseSummary(base, listed(first), rank, _ranking_sentence(ranked, first), settings, found, silence)


def _ranking_sentence(ranked: pl.DataFrame, first: list[str]) -> str:
    rivals = ranked.filter(pl.col("rank_low") == 1, ~pl.col("teacher").is_in(first))["teacher"].to_list()
    if len(first) > 1:
        return f"{listed(first)} share the highest CAR."
    if not rivals:
        return (
            "Under this reward map, β and reward model no other teacher could be first: the rank intervals"
            " hold jointly over all of them."
        )
    return f"The data cannot tell it from {listed(rivals)}, which could be first as well."


def _unranked(evidence: Evidence, base: str) -> str:
    reasons = evidence.ranking.filter(base=base)["missing"].drop_nulls().unique(maintain_order=True).to_list()
    why = f": {'; '.join(reasons)}" if reasons else ": the CAR table holds no row of it"
    return f"No teacher is ranked for this base{why}."


def _silence(study: Study, evidence: Evidence, base: str) -> str:
    runs = [run for run in study.runs if run.base == base]
    if not runs:
        return "The study tunes this base on nothing: this is a ranking only, a prediction not yet tested."
    scored = evidence.checkpoints.filter(base=base).join(evidence.scores.select("run"), on="run", how="semi")
    if scored.is_empty():
        return f"None of the {counted(len(runs), 'run')} of this base has a result yet."
    return "No run of this base was tuned on one teacher's rows alone, so no teacher can be compared."
