"""`suitability`: teachers ranked by every metric, for each base."""

import dagster as dg
import polars as pl

from assets.automation import when_updated
from assets.car_table import ROWS, car_table
from assets.failures import told
from assets.metadata import listed, materialized, narrow_table
from assets.study import STUDY
from preceptor.current import ROW_TABLES, current_fingerprints
from preceptor.lake.resume import derive
from preceptor.lake.schemas import SUITABILITY
from preceptor.suitability.metrics import labelled
from preceptor.suitability.table import build_suitability, suitability_fingerprint, without_a_value
from resources.lake import LakeResource
from resources.warehouse import WarehouseResource


@dg.asset(
    deps=[car_table, *ROWS],
    group_name="rank",
    kinds={"deltalake", "duckdb", "sql"},
    automation_condition=when_updated("car_table", needed=("car_table",), last="study_report"),
)
@told
def suitability(lake: LakeResource, warehouse: WarehouseResource) -> dg.MaterializeResult:
    """Teachers ranked for each base by every suitability metric, including CAR, from the same resamples.

    A row is one teacher for one base by one metric. docs/metrics.md defines the metrics.
    """
    session = warehouse.open(*ROW_TABLES)
    store = lake.open().made_from(session.versions, STUDY.car.model_dump(mode="json"))
    current = current_fingerprints(STUDY)
    fingerprint = suitability_fingerprint(STUDY, current, session.versions)
    outcome = derive(store, SUITABILITY, {}, fingerprint, lambda: build_suitability(session, STUDY, current))
    return materialized(
        store,
        outcome,
        read=session.versions,
        first_teacher_by_metric=lambda: narrow_table(_first(outcome.rows)),
        without_a_value=lambda: dg.MetadataValue.md(listed(_missing(outcome.rows))),
    )


def _first(rows: pl.DataFrame) -> pl.DataFrame:
    """The first teacher by each metric, one column per base."""
    labels = {metric.name: label for label, metric in labelled(STUDY.car.form).items()}
    first = rows.filter(rank=1).with_columns(pl.col("metric").replace_strict(labels))
    return first.pivot(
        "base", index="metric", values="teacher", aggregate_function=pl.element().str.join(", ")
    )


def _missing(rows: pl.DataFrame) -> list[str]:
    """Metrics that have no value for any teacher of a base, and why."""
    return [f"{metric} for {base}: {why}" for base, metric, why in without_a_value(rows).iter_rows()]
