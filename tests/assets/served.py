"""A study's code location for tests, and its automation, evaluated tick by tick without a daemon."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData

OURS = ("definitions", "assets", "jobs")


@contextmanager
def code_location(study: Path) -> Iterator[dg.Definitions]:
    """`definitions.defs`, imported as in a new process. Modules that other tests imported are restored."""
    before = _forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRECEPTOR_STUDY", str(study))
        try:
            yield importlib.import_module("definitions").defs
        finally:
            _forget()
            sys.modules.update(before)


def _forget() -> dict:
    names = [name for name in sys.modules if name.split(".")[0] in OURS]
    return {name: sys.modules.pop(name) for name in names}


class World:
    """An instance without processes: tests report what is materialized, failed and in progress."""

    def __init__(self, defs: dg.Definitions, study: str, **members: list[str]):
        self.defs, self.study = defs, study
        self.instance, self.cursor = dg.DagsterInstance.ephemeral(), None
        for kind, names in members.items():
            self.add(kind, *names)

    def add(self, kind: str, *names: str) -> None:
        self.instance.add_dynamic_partitions(f"{self.study}/{kind}", list(names))

    def tick(self) -> dict[str, list[str]]:
        """What the automation requests now: sorted partitions by asset; an unpartitioned asset has none."""
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, dg.AssetSelection.all(), cursor=self.cursor
        )
        self.cursor = result.cursor
        asked = {r.key: result.get_requested_partitions(r.key) for r in result.results}
        return {key.to_user_string(): sorted(k for k in keys if k) for key, keys in asked.items() if keys}

    def make(self, asset: str, *keys: str, version: str = "1", run: dg.DagsterRun | None = None) -> None:
        """Materialize partitions of an asset with this data version, in a run or without one."""
        for key in keys or (None,):
            tags = {"dagster/data_version": version}
            made = dg.AssetMaterialization(asset_key=asset, partition=key, tags=tags)
            if run is None:
                self.instance.report_runless_asset_event(made)
            else:
                self._report(run, dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(made))

    def begin(self, *assets: str, key: str | None = None) -> dg.DagsterRun:
        """Start a run of assets for a partition, which is in progress until `end`."""
        selection = frozenset(dg.AssetKey(asset) for asset in assets)
        job = self.defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=selection)
        partitions = self.defs.resolve_asset_graph().get(dg.AssetKey(assets[0])).partitions_def
        tags = partitions.get_tags_for_partition_key(key) if key else {}
        going = dg.DagsterRunStatus.STARTED
        return self.instance.create_run_for_job(job, tags=tags, status=going, asset_selection=selection)

    def end(self, run: dg.DagsterRun, failed: bool = False) -> None:
        """End a run; report what it materialized by `make` before."""
        if failed:
            self.instance.report_run_failed(run)
        else:
            self._report(run, dg.DagsterEventType.RUN_SUCCESS)

    def _report(self, run: dg.DagsterRun, kind: dg.DagsterEventType, data: object = None) -> None:
        event = dg.DagsterEvent(kind.value, run.job_name, event_specific_data=data)
        self.instance.report_dagster_event(event, run.run_id)
