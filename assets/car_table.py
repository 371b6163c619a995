"""`car_table` and `car_beta_sweep`: teachers ranked per base."""

import os
from collections.abc import Iterator

import dagster as dg
import polars as pl

from assets import checks
from assets.automation import WEEKLY, when_updated
from assets.base_losses import base_losses
from assets.failures import told
from assets.metadata import (
    answers,
    best_values,
    distribution,
    first_rows,
    listed,
    live_picture,
    materialized,
    picture,
    rankings,
)
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.rewards import rewards
from assets.study import READ, STUDY
from preceptor.current import ROW_TABLES, current_fingerprints
from preceptor.lake.resume import derive
from preceptor.lake.schemas import CAR_BETA_SWEEP, CAR_TABLE
from preceptor.lake.store import NotMaterializedError
from preceptor.report.headline import sentences
from preceptor.suitability.plot import car_plot
from preceptor.suitability.table import (
    NothingToRankError,
    beta_sweep,
    build_car_table,
    car_fingerprint,
    few_instructions,
    sweep_fingerprint,
)
from resources.lake import LakeResource
from resources.warehouse import WarehouseResource

# The assets whose rows the tables of the ranking read, in all partitions.
ROWS = [
    dg.AssetDep(raw_instructions),
    *(
        dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
        for asset in (responses, rewards, base_losses)
    ),
]
# Tags of a run that a sensor, a schedule or an automation condition started.
BY_ITSELF = {"dagster/from_automation_condition", "dagster/sensor_name", "dagster/schedule_name"}
UNANSWERED = "no responses"  # the text in sql/ranking/coverage.sql
RANKING = os.environ.get("PRECEPTOR_RANKING_URL")  # set by jobs/serve.py, which serves the picture
DESCRIPTION = (
    "Teachers ranked for each base by Compatibility-Adjusted Reward (CAR), with intervals.\n\n"
    + live_picture(RANKING, "The ranking and its uncertainty")
    + """The metadata below begins with the newest answer; `study_report` shows the evidence. If the table is
empty, materialize `raw_instructions`: every asset up to this table then runs automatically.

A row is one teacher for one base; a teacher that cannot be ranked has the reason. Rank intervals hold jointly
for all teachers of a base.
"""
)


@dg.asset(
    deps=ROWS,
    group_name="rank",
    kinds={"deltalake", "duckdb", "sql"},
    description=DESCRIPTION,
    output_required=False,  # no table until there is something to rank
    automation_condition=when_updated(
        "rewards", "base_losses", needed=("rewards", "base_losses"), last="study_report"
    ),
    freshness_policy=WEEKLY,
    check_specs=[
        checks.spec("car_table", "unique_keys", "One row per base and teacher", blocking=True),
        checks.spec("car_table", "completeness", "Nearly all teachers with responses are ranked"),
        checks.spec("car_table", "common_rows", "All teachers have most instructions in common"),
        checks.spec("car_table", "enough_instructions", "Intervals are reliable from 20 instructions on"),
    ],
)
@told
def car_table(
    context: dg.AssetExecutionContext, lake: LakeResource, warehouse: WarehouseResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Rank the teachers, or report why there is nothing to rank yet."""
    try:
        ranked = _ranked(lake, warehouse)
    except (NotMaterializedError, NothingToRankError) as error:
        if not BY_ITSELF & context.run.tags.keys():
            raise
        context.log.info("%s", error)
        yield from _nothing_yet(str(error))
    else:
        yield ranked


def _ranked(lake: LakeResource, warehouse: WarehouseResource) -> dg.MaterializeResult:
    session = warehouse.open(*ROW_TABLES)
    store = lake.open().made_from(session.versions, STUDY.car.model_dump(mode="json"))
    current = current_fingerprints(STUDY)
    fingerprint = car_fingerprint(STUDY, current, session.versions)
    outcome = derive(store, CAR_TABLE, {}, fingerprint, lambda: build_car_table(session, STUDY, current))
    rows = outcome.rows
    # A teacher without responses is in progress, or its own run reports the failure.
    answered = rows.filter(pl.col("missing").is_null() | (pl.col("missing") != UNANSWERED))
    shown = rows.drop("reward_model", "beta", "form", "missing")
    return materialized(
        store,
        outcome,
        read=session.versions,
        checks=[
            checks.unique_keys(CAR_TABLE, rows),
            checks.completeness(answered.height, rows["rank"].count(), _missing(answered), STUDY.limits),
            _common_rows(rows),
            _enough_instructions(rows),
        ],
        **answers(rows),
        **rankings(rows),
        **best_values(rows),
        plot=lambda: picture(car_plot(rows, sentences(rows)), "CAR by base and teacher"),
        preview=lambda: first_rows(shown, limit=rows.height),
        missing_teachers=dg.MetadataValue.md(listed([*_missing(rows), *READ.left_out])),
    )


def _nothing_yet(why: str) -> Iterator[dg.AssetCheckResult]:
    """An automatic run that starts too early does not fail.

    jobs/alerts.py reports the reason only if it still holds once no reward or loss is in progress.
    """
    yield checks.unique_keys(CAR_TABLE, CAR_TABLE.schema.to_frame())
    for check in ("completeness", "common_rows", "enough_instructions"):
        yield dg.AssetCheckResult(
            check_name=check, passed=check != "completeness", severity=checks.WARN, description=why
        )


@dg.asset(
    deps=[car_table, *ROWS],
    group_name="rank",
    kinds={"deltalake", "duckdb", "sql"},
    automation_condition=when_updated("car_table", needed=("car_table",), last="study_report"),
)
@told
def car_beta_sweep(lake: LakeResource, warehouse: WarehouseResource) -> dg.MaterializeResult:
    """Sensitivity of the ranking to β: each teacher's CAR, interval and rank at every β of the study's sweep.

    A row is one ranked teacher for one base at one β.
    """
    session = warehouse.open(*ROW_TABLES)
    store = lake.open().made_from(session.versions, STUDY.car.model_dump(mode="json"))
    current = current_fingerprints(STUDY)
    fingerprint = sweep_fingerprint(STUDY, current, session.versions)
    outcome = derive(store, CAR_BETA_SWEEP, {}, fingerprint, lambda: beta_sweep(session, STUDY, current))
    return materialized(
        store,
        outcome,
        read=session.versions,
        plot=lambda: distribution(outcome.rows["car"], "CAR over all β"),
        first_teacher_by_beta=lambda: first_rows(_first(outcome.rows), limit=outcome.rows.height),
    )


def _first(sweep: pl.DataFrame) -> pl.DataFrame:
    return sweep.filter(rank=1).pivot("beta", index="base", values="teacher", aggregate_function="first")


def _missing(rows: pl.DataFrame) -> list[str]:
    """Teachers that could not be ranked, and why."""
    return sorted({f"{t}: {why}" for t, why in rows.select("teacher", "missing").iter_rows() if why})


def _common_rows(rows: pl.DataFrame) -> dg.AssetCheckResult:
    ranked = rows.filter(pl.col("missing").is_null())
    share = float((ranked["instructions"] / ranked["expected"]).min())
    return dg.AssetCheckResult(
        check_name="common_rows",
        passed=share >= 1 - STUDY.limits.missing_rows,
        severity=checks.WARN,
        description=f"the means cover {share:.1%} of the study's instructions",
        metadata={"share": share},
    )


def _enough_instructions(rows: pl.DataFrame) -> dg.AssetCheckResult:
    fewest = rows.filter(pl.col("missing").is_null())["instructions"].min()
    return dg.AssetCheckResult(
        check_name="enough_instructions",
        passed=not (warning := few_instructions(rows)),
        severity=checks.WARN,
        description=warning or f"every mean covers at least {fewest:,} instructions",
        metadata={"fewest": fewest},
    )
