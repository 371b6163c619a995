"""`suitability`: teachers ranked by every metric, for each base."""

import dagster as dg
import polars as pl

from assets.automation import when_updated
from assets.base_losses import base_losses
from assets.car_table import car_table
from assets.failures import told
from assets.metadata import listed, materialized, narrow_table
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.rewards import rewards
from assets.study import STUDY
from preceptor.current import ROW_TABLES, current_fingerprints
from preceptor.lake.resume import derive
from preceptor.lake.schemas import SUITABILITY
from preceptor.suitability.metrics import METRICS
from preceptor.suitability.table import build_suitability, suitability_fingerprint
from resources.lake import LakeResource
from resources.warehouse import WarehouseResource


@dg.asset(
    deps=[
        car_table,
        raw_instructions,
        dg.AssetDep(responses, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(rewards, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(base_losses, partition_mapping=dg.AllPartitionMapping()),
    ],
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
    labels = pl.col("metric").replace_strict({name: metric.label for name, metric in METRICS.items()})
    first = rows.filter(rank=1).with_columns(metric=labels)
    return first.pivot(
        "base", index="metric", values="teacher", aggregate_function=pl.element().str.join(", ")
    )


def _missing(rows: pl.DataFrame) -> list[str]:
    """Metrics that have no value for any teacher of a base, and why."""
    none = rows.filter(pl.col("value").is_null().all().over("base", "metric"))
    found = none.unique(["base", "metric"], maintain_order=True).select("base", "metric", "missing")
    return [f"{metric} for {base}: {why}" for base, metric, why in found.iter_rows()]
