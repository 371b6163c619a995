"""One self-contained HTML page: the answer, its evidence, missing data, and how the report was made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from preceptor.lake.warehouse import Warehouse
from preceptor.report.answer import answers
from preceptor.report.chart import colour
from preceptor.report.evidence import Evidence, gather
from preceptor.report.headline import headline
from preceptor.report.listings import (
    Listing,
    checkpoint_listing,
    difference_listings,
    failure_listing,
    judge_listing,
    outcome_listing,
    predictor_listings,
    ranking_listing,
    reward_listing,
    score_listings,
    selection_listing,
    task_heats,
)
from preceptor.report.missing import doubtful_runs, runs_without_results, unlike_runs, unranked
from preceptor.report.predicted_charts import predictor_chart, scatter_chart
from preceptor.report.rank_correlation import correlation_of
from preceptor.report.ranking_charts import car_chart, sweep_chart
from preceptor.report.reward_models import reward_model_sentences
from preceptor.report.row_charts import loss_curve_chart, spread_chart
from preceptor.report.seed_listing import seed_listings
from preceptor.report.settings_listings import (
    first_under_listings,
    reward_correlation_listing,
    reward_model_listings,
    suitability_listings,
)
from preceptor.report.words import counted
from preceptor.statistics.multiple import LEVEL
from preceptor.study.recipes import OneTeacher
from preceptor.study.schema import Study

TEMPLATE = "report.html.jinja"
CAR_FORMS = {"ratio": "r / (1 + β·L)", "product": "r · (1 + β·L)"}


@dataclass(frozen=True)
class ReportFacts:
    """How the report was made. Between equal inputs only `made`, the time, differs."""

    packages: dict[str, str]
    lake_versions: dict[str, int]
    fingerprint: str
    made: str


@dataclass(frozen=True)
class Chart:
    """A chart's title and HTML, and its data as a table."""

    title: str
    html: str
    listing: Listing | None = None


def build_report(study: Study, warehouse: Warehouse, facts: ReportFacts) -> str:
    """The page as HTML that needs no network, from a warehouse with every table of the lake.

    A table that is not materialized yet must exist without rows. Raises ValueError for a model whose
    revision cannot be looked up.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evidence = gather(warehouse, study)
    page = environment.get_template(TEMPLATE)
    return page.render(
        study=study,
        facts=facts,
        plotly_js=get_plotlyjs(),
        **_answered(study, evidence),
        **_charts(study, evidence),
        **_tables(study, evidence),
    )


def _answered(study: Study, evidence: Evidence) -> dict[str, Any]:
    found = answers(study, evidence)
    return {
        "summary": _summary(study, evidence),
        "headlines": [headline(evidence.ranking, base.name) for base in study.bases],
        "answers": found,
        "outcomes": outcome_listing(found, evidence.rank_correlations),
    }


def _summary(study: Study, evidence: Evidence) -> str:
    """One sentence on the study's size."""
    compared = (
        f"{counted(len(study.teachers), 'teacher')} and {counted(evidence.instructions, 'instruction')}"
    )
    tuned = evidence.checkpoints["final_loss"].count()
    runs = f"{tuned} of {counted(len(study.runs), 'run')} tuned" if study.runs else "no runs"
    measured = counted(len(study.evaluations), "benchmark")
    return f"{compared}, {counted(len(study.bases), 'base model')}, {runs}, {measured}."


def _charts(study: Study, evidence: Evidence) -> dict[str, Any]:
    colours = _colours(study)
    return {
        "rankings": _rankings(study, evidence, colours),
        "sweeps": _sweeps(study, evidence, colours),
        "scatters": _by_outcome(
            evidence,
            "actual",
            lambda teachers, rows, name: scatter_chart(
                teachers, correlation_of(rows.filter(predictor="CAR").row(0, named=True)), colours, name
            ),
        ),
        "predictors": _by_outcome(evidence, "predictors", lambda _, rows, name: predictor_chart(rows, name)),
        "spreads": _spreads(study, evidence, colours),
        "curves": _curves(study, evidence, colours),
        "key": [
            (name, colour(colours[name]))
            for name in evidence.checkpoints["recipe"].unique(maintain_order=True)
        ],
    }


def _tables(study: Study, evidence: Evidence) -> dict[str, Any]:
    settings = yaml.safe_dump(
        study.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True
    )
    return {
        "car_form": CAR_FORMS[study.car.form],
        "rank_correlations": predictor_listings(evidence.rank_correlations),
        "rho_tests": evidence.rank_correlations["p_value"].count(),
        "untested": evidence.rank_correlations["untested"].drop_nulls().unique(maintain_order=True).to_list(),
        "level": LEVEL,
        "suitability": suitability_listings(evidence.suitability, evidence.ranking, study.car.form),
        "first_under": first_under_listings(evidence.first_under),
        "reward_models": reward_model_listings(evidence.reward_rankings),
        "reward_model_sentences": reward_model_sentences(
            study, evidence.reward_rankings, evidence.reward_correlations
        ),
        "reward_correlations": reward_correlation_listing(evidence.reward_correlations),
        "reward": evidence.reward_check,
        "rewards_listing": reward_listing(evidence.reward_check),
        "main_scores": score_listings(evidence.scores, main=True),
        "other_scores": score_listings(evidence.scores, main=False),
        "differences": difference_listings(evidence.differences) + seed_listings(evidence.seeds),
        "judges": judge_listing(evidence.judge_agreements),
        "heats": task_heats(evidence.tasks),
        "checkpoints": checkpoint_listing(evidence.checkpoints),
        "unranked": unranked(study, evidence),
        "failures": failure_listing(evidence),
        "runs_without_results": runs_without_results(study, evidence),
        "unlike_runs": unlike_runs(study),
        "doubtful_runs": list(doubtful_runs(evidence.checkpoints).values()),
        "selections": selection_listing(evidence.selections, study.recipes),
        "instructions": evidence.instructions,
        "run_seeds": sorted({run.seed for run in study.runs}),
        "settings": settings,
    }


def _colours(study: Study) -> dict[str, int]:
    """A colour number for every teacher and recipe. A recipe of one teacher has its teacher's number."""
    numbers = {teacher.name: number for number, teacher in enumerate(study.teachers)}
    others = len(numbers)
    for recipe in study.recipes:
        if isinstance(recipe, OneTeacher):
            numbers.setdefault(recipe.name, numbers[recipe.teacher])
        else:
            numbers.setdefault(recipe.name, others)
            others += 1
    return numbers


def _rankings(study: Study, evidence: Evidence, colours: dict[str, int]) -> list[Chart]:
    charts = []
    for number, base in enumerate(study.bases):
        ranked = evidence.ranking.filter(pl.col("base") == base.name, pl.col("missing").is_null())
        if not ranked.is_empty():
            chart = car_chart(ranked, colours, f"car-{number}")
            charts.append(Chart(base.name, chart, ranking_listing(ranked, study.car.confidence)))
    return charts


def _sweeps(study: Study, evidence: Evidence, colours: dict[str, int]) -> list[Chart]:
    charts = []
    for number, base in enumerate(study.bases):
        rows = evidence.sweep.filter(base=base.name)
        if not rows.is_empty():
            charts.append(Chart(base.name, sweep_chart(rows, study.car.beta, colours, f"sweep-{number}")))
    return charts


def _by_outcome(
    evidence: Evidence, name: str, draw: Callable[[pl.DataFrame, pl.DataFrame, str], str]
) -> list[Chart]:
    """A chart per base and benchmark on which any teacher has both a CAR and a score."""
    charts = []
    for number, (key, rows) in enumerate(
        evidence.rank_correlations.group_by("base", "benchmark", "metric", maintain_order=True)
    ):
        base, benchmark, metric = key
        teachers = evidence.means.filter(base=base, benchmark=benchmark).drop_nulls(["car", "value"])
        if not teachers.is_empty():
            title = f"{base} on {benchmark}, {metric}"
            charts.append(Chart(title, draw(teachers, rows, f"{name}-{number}")))
    return charts


def _spreads(study: Study, evidence: Evidence, colours: dict[str, int]) -> list[Chart]:
    lengths, rewards = (evidence.spreads.filter(quantity=name) for name in ("characters", "reward"))
    parts = [("Length of responses", "characters", lengths)]
    parts.append((f"Reward by {study.car_reward_model}, before any mapping", "reward", rewards))
    losses = evidence.spreads.filter(quantity="loss")
    for base in study.bases:
        parts.append((f"Loss under {base.name}", "nats per token", losses.filter(base=base.name)))
    return [
        Chart(title, spread_chart(rows, axis, colours, f"spread-{number}"))
        for number, (title, axis, rows) in enumerate(parts)
        if not rows.is_empty()
    ]


def _curves(study: Study, evidence: Evidence, colours: dict[str, int]) -> list[Chart]:
    charts = []
    for number, base in enumerate(study.bases):
        rows = evidence.checkpoints.filter(pl.col("base") == base.name, pl.col("final_loss").is_not_null())
        if not rows.is_empty():
            charts.append(Chart(base.name, loss_curve_chart(rows, colours, f"loss-{number}")))
    return charts
