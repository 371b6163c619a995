"""`study_report`: the study's results on one page."""

import os
from typing import Any

import dagster as dg
import polars as pl

from assets.automation import WEEKLY, when_updated
from assets.base_losses import base_losses
from assets.base_results import base_results
from assets.car_table import car_beta_sweep, car_table
from assets.eval_results import eval_results
from assets.failures import told
from assets.metadata import answers, first_rows, live_picture, rankings, shown
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.rewards import rewards
from assets.selected_subset import selected_subset
from assets.study import STUDY
from assets.suitability import suitability
from assets.tuned_checkpoint import tuned_checkpoint
from preceptor.lake.schemas import CAR_TABLE, SUITABILITY
from preceptor.report.predicted import rank_correlations
from preceptor.report.publish import REPORT_TABLES, publish_report
from preceptor.report.words import decimals, p_value
from resources.lake import LakeResource
from resources.warehouse import WarehouseResource

# A browser opens no link from the UI to a local file, so jobs/serve.py serves the page and sets this URL.
ADDRESS = os.environ.get("PRECEPTOR_REPORT_URL")
RANKING = os.environ.get("PRECEPTOR_RANKING_URL")
DESCRIPTION = (
    "One HTML page: which teacher was predicted to be best, which was best, and how certain that is.\n\n"
    + (f"[Open the report]({ADDRESS})\n\n" if ADDRESS else "")
    + live_picture(RANKING, "The ranking and its uncertainty")
    + """A row is one run tuned on one teacher's responses. The rows are in the table `predicted_actual`.
"""
)
PARTITIONED = [responses, rewards, base_losses]
if STUDY.recipes:
    PARTITIONED.append(selected_subset)
if STUDY.runs:
    PARTITIONED.append(tuned_checkpoint)
if STUDY.runs and STUDY.evaluations:
    PARTITIONED += [base_results, eval_results]


@dg.asset(
    deps=[
        raw_instructions,
        car_table,
        car_beta_sweep,
        suitability,
        *(dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in PARTITIONED),
    ],
    group_name="report",
    kinds={"html", "plotly", "duckdb"},
    description=DESCRIPTION,
    automation_condition=when_updated(
        "car_beta_sweep",
        "suitability",
        "selected_subset",
        "tuned_checkpoint",
        "base_results",
        "eval_results",
        needed=("car_table",),
        last="study_report",
    ),
    freshness_policy=WEEKLY,
)
@told
def study_report(lake: LakeResource, warehouse: WarehouseResource) -> dg.MaterializeResult:
    """Publish the page and the table `predicted_actual`, which its conclusion is computed from."""
    store = lake.open()
    store.versions(CAR_TABLE)  # raises if there is no ranking: the page would be empty
    session = warehouse.open_existing(*REPORT_TABLES)
    published = publish_report(store.made_from(session.versions), STUDY, session)
    found = rank_correlations(published.predicted_actual, session.rows(SUITABILITY.name), STUDY.car.form)
    ranked = store.read(CAR_TABLE)
    return dg.MaterializeResult(
        metadata={
            **{name: shown(fact) for name, fact in (answers(ranked) | rankings(ranked)).items()},
            "report": dg.MetadataValue.path(published.uri),
            **_compared(found),
            "rows_computed": int(published.made),  # the page itself
            "rows_reused": int(not published.made),
            "fingerprint": published.fingerprint,
            **{f"read/{table}": version for table, version in session.versions.items()},
        },
        data_version=dg.DataVersion(published.fingerprint),
    )


def _compared(found: pl.DataFrame) -> dict[str, Any]:
    """Predicted against actual, as tables for the UI."""
    if found.is_empty():
        return {"agreement": "no runs yet"}
    return {
        "agreement": shown(lambda: first_rows(_correlation(found), found.height)),
        "predictors": shown(lambda: first_rows(_predictors(found), found.height)),
    }


def _correlation(found: pl.DataFrame) -> pl.DataFrame:
    """Rank correlation of CAR with the actual results, in few enough columns for the UI's window."""
    rows = [
        (row["base"], row["benchmark"], _rho(row), _tested(row), row["n"])
        for row in found.filter(predictor="CAR").iter_rows(named=True)
    ]
    return pl.DataFrame(rows, ["base", "benchmark", "ρ of CAR", "p adjusted", "teachers"], orient="row")


def _predictors(found: pl.DataFrame) -> pl.DataFrame:
    """ρ of every predictor, one row per benchmark: one row per predictor would overflow the UI's window."""
    rho = found.with_columns(pl.col("rho").round(2))
    return rho.pivot("predictor", index=["base", "benchmark"], values="rho")


def _tested(row: dict[str, Any]) -> str:
    return p_value(row["p_adjusted"]) if row["untested"] is None else "not tested"


def _rho(row: dict[str, Any]) -> str:
    rho, low, high = (decimals(row[name]) for name in ("rho", "low", "high"))
    return rho if row["low"] is None else f"{rho} [{low}, {high}]"
