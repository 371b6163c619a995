"""Checks and metadata that `eval_results` and `base_results` share."""

from typing import Any

import dagster as dg

from assets import checks
from assets.metadata import distribution, first_rows, materialized
from assets.study import STUDY
from preceptor.evaluation.evaluate import Evaluated
from preceptor.lake.schemas import EVAL_RESULTS
from preceptor.lake.store import Lake
from preceptor.report.words import measured


def specs(asset: str) -> list[dg.AssetCheckSpec]:
    """The checks that `evaluated` makes."""
    return [
        checks.spec(
            asset,
            "accounting",
            "Judged, failed and filtered answers add up to the expected number",
            blocking=True,
        ),
        checks.spec(asset, "unique_keys", "One row per answer", blocking=True),
        checks.spec(asset, "failure_rate", "Few answers have no outcome"),
    ]


def evaluated(
    store: Lake,
    found: Evaluated,
    read: dict[str, int],
    more_checks: list[dg.AssetCheckResult],
    **facts: Any,
) -> dg.MaterializeResult:
    """The materialization of one partition of `eval_results`, with its scores and judgments."""
    scores = found.scores.rows
    return materialized(
        store,
        found.items,
        read=read,
        checks=[
            checks.accounting(found.account),
            checks.unique_keys(EVAL_RESULTS, found.items.rows),
            checks.failure_rate(found.items.rows, STUDY.limits),
            *more_checks,
        ],
        scores=lambda: first_rows(scores, limit=scores.height),
        plot=lambda: distribution(found.items.rows["outcome"], "outcome of an item"),
        **{scores["metric"][0]: scores["value"][0]},
        score=_sentence(scores.row(0, named=True)),
        **(found.judgments.facts if found.judgments else {}),
        **facts,
    )


def _sentence(score: dict[str, Any]) -> str:
    """The main metric with its interval and the number of items."""
    if score["value"] is None:
        return f"no {score['metric']}: {score['error']}"
    value, low, high = (measured(score[end], score["unit"]) for end in ("value", "low", "high"))
    interval = f" [{low}, {high}]" if score["low"] is not None else ", no interval"
    return f"{score['metric']} {value}{interval}, n = {score['n']:,}"
