"""Find steps that have nothing to do, without running them, and repeat their last result.

A step is skipped if its inputs and outputs are unchanged, and Dagster has its materialization and no later
attempt. In case of doubt the step runs, and checks itself whether its rows are up to date.
"""

import time
from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from jobs.materialize import Facts, Result, in_words
from jobs.receipts import live_tables, place_of, present_state
from jobs.steps import Need, Step
from preceptor.study.schema import Study
from preceptor.unchanged.receipt import Receipt, read_receipt

# Steps with a freshness policy run again after this time, before the policy (assets/automation.py) warns.
RENEWED = timedelta(days=7)
EVALUATED = ("eval_results", "base_results")  # failed scores and judgments are retried too
WITH_FRESHNESS = ("rewards", "car_table", "study_report")


class Unchanged:
    """Which steps of a study have nothing to do. With `retry_failed`, steps with failed rows run again."""

    def __init__(
        self, study: Study, instance: dg.DagsterInstance, planned: Iterable[Step], retry_failed: bool
    ) -> None:
        self._study, self._instance, self._retry_failed = study, instance, retry_failed
        self._made = _made(instance, planned)

    def result(self, step: Step) -> Result | None:
        """The step's last result, or None if it must run."""
        started = time.monotonic()
        receipt = read_receipt(place_of(step, self._instance))
        if receipt is None or step.place not in self._made or self._is_due(step, receipt):
            return None
        state = present_state(self._study, step)
        if state is None or not receipt.state.holds(state):
            return None
        facts = Facts(0, receipt.rows, receipt.failed, receipt.reason, receipt.score)
        return Result(step, in_words(facts), time.monotonic() - started, warnings=receipt.warnings)

    def all_of(self, planned: Iterable[Step]) -> bool:
        """Whether none of these steps must run."""
        return all(self.result(step) is not None for step in planned)

    def forget(self) -> None:
        """Read tables again, because a step ran."""
        live_tables(self._study).forget()

    def _is_due(self, step: Step, receipt: Receipt) -> bool:
        """Whether the step must run although nothing changed."""
        if self._retry_failed and (receipt.failed or step.asset in EVALUATED):
            return True
        return not receipt.holds_for(RENEWED if step.asset in WITH_FRESHNESS else None)


def _made(instance: dg.DagsterInstance, planned: Iterable[Step]) -> set[Need]:
    """The steps that Dagster has as materialized, without those whose latest attempt did not succeed."""
    places = [step.place for step in planned]
    partitioned = {asset for asset, key in places if key is not None}
    made: set[Need] = set()
    for asset in partitioned:
        key = dg.AssetKey(asset)
        storage = instance.event_log_storage
        begun = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        made |= {(asset, partition) for partition in instance.get_materialized_partitions(key) - begun.keys()}
    whole = [dg.AssetKey(asset) for asset, key in places if key is None]
    for entry in (record.asset_entry for record in instance.get_asset_records(whole)):
        last = entry.last_materialization
        if last is not None and last.run_id == entry.last_run_id:
            made.add((entry.asset_key.to_user_string(), None))
    return made
