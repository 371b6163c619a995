"""`study_report`: the whole study on one page."""

import os

import dagster as dg

from assets.automation import WEEKLY, when_updated
from assets.base_losses import base_losses
from assets.car_table import car_beta_sweep, car_table
from assets.eval_results import eval_results
from assets.metadata import first_rows, shown
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.rewards import rewards
from assets.selected_subset import selected_subset
from assets.study import STUDY
from assets.tuned_checkpoint import tuned_checkpoint
from preceptor.lake.schemas import CAR_TABLE
from preceptor.report.predicted import agreements
from preceptor.report.publish import REPORT_TABLES, publish_report
from resources.lake import LakeResource
from resources.warehouse import WarehouseResource

# A browser follows no link from the UI to a file: jobs/serve.py serves the page and says where.
ADDRESS = os.environ.get("PRECEPTOR_REPORT_URL")
DESCRIPTION = """One self-contained HTML page: who was predicted to teach best, who did, how far to trust it.

A row is, in the table `predicted_actual` beside it, one run tuned on one teacher's responses.
""" + (f"\n[Open the report]({ADDRESS})" if ADDRESS else "")
PARTITIONED = [responses, rewards, base_losses]
if STUDY.recipes:
    PARTITIONED.append(selected_subset)
if STUDY.runs:
    PARTITIONED.append(tuned_checkpoint)
if STUDY.runs and STUDY.evaluations:
    PARTITIONED.append(eval_results)


@dg.asset(
    deps=[
        raw_instructions,
        car_table,
        car_beta_sweep,
        *(dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping()) for asset in PARTITIONED),
    ],
    group_name="report",
    kinds={"html", "plotly", "duckdb"},
    description=DESCRIPTION,
    automation_condition=when_updated(
        "car_beta_sweep",
        "selected_subset",
        "tuned_checkpoint",
        "eval_results",
        needed=("car_table",),
        last="study_report",
    ),
    freshness_policy=WEEKLY,
)
def study_report(lake: LakeResource, warehouse: WarehouseResource) -> dg.MaterializeResult:
    """Publish the page, and the table that its answer stands on."""
    store = lake.open()
    store.versions(CAR_TABLE)  # a page without a ranking would say nothing
    session = warehouse.open_existing(*REPORT_TABLES)
    published = publish_report(store.made_from(session.versions), STUDY, session)
    found = agreements(published.predicted_actual)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(published.uri),
            "agreement": shown(lambda: first_rows(found, limit=found.height))
            if found.height
            else "no runs yet",
            "rows_computed": int(published.made),  # the page itself
            "rows_reused": int(not published.made),
            "fingerprint": published.fingerprint,
            **{f"read/{table}": version for table, version in session.versions.items()},
        },
        data_version=dg.DataVersion(published.fingerprint),
    )
