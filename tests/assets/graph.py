"""The asset graph as text, so that a review shows every change to it. It depends on no machine.

`python -m tests.assets.graph` writes graph.yaml again.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from tests.assets.served import code_location
from tests.studies import document, with_runs, write_benchmarks, write_study

STORED = Path(__file__).with_name("graph.yaml")


class Whole(yaml.SafeDumper):
    """YAML without aliases."""

    def ignore_aliases(self, _: Any) -> bool:
        """Write repeated lists in full."""
        return True


def graph_text() -> str:
    """Every asset, job, sensor and schedule of a study that uses every asset."""
    with tempfile.TemporaryDirectory() as folder:
        study = write_study(Path(folder))
        write_benchmarks(study.parent)
        study.write_text(yaml.safe_dump(with_runs(document("small"))))
        with code_location(study) as defs:
            return yaml.dump(
                _described(defs), Dumper=Whole, sort_keys=False, default_flow_style=None, width=105
            )


def _described(defs: dg.Definitions) -> dict[str, Any]:
    graph = defs.resolve_asset_graph()
    keys = sorted(graph.get_all_asset_keys(), key=lambda key: key.to_user_string())
    return {
        "assets": {key.to_user_string(): dict(_asset(defs, key)) for key in keys},
        "jobs": sorted(job.name for job in defs.jobs or []),
        "sensors": sorted(sensor.name for sensor in defs.sensors or []),
        "schedules": {schedule.name: schedule.cron_schedule for schedule in defs.schedules or []},
        "resources": sorted(defs.resources or {}),
    }


def _asset(defs: dg.Definitions, key: dg.AssetKey) -> Iterator[tuple[str, Any]]:
    node = defs.resolve_asset_graph().get(key)
    definition = defs.resolve_assets_def(key)
    (spec,) = definition.specs
    yield "group", node.group_name
    yield "kinds", sorted(node.kinds)
    yield "owners", list(node.owners)
    yield "tags", {name: value for name, value in node.tags.items() if not name.startswith("dagster/kind")}
    yield "pool", definition.op.pool
    yield "partitions", _partitions(node.partitions_def)
    yield "deps", {dep.asset_key.to_user_string(): _mapping(dep) for dep in spec.deps}
    yield "automation", node.automation_condition and node.automation_condition.get_label()
    yield "freshness", node.freshness_policy and type(node.freshness_policy).__name__
    yield (
        "checks",
        {check.name: "blocking" if check.blocking else "warning" for check in definition.check_specs},
    )


def _partitions(partitions: dg.PartitionsDefinition | None) -> Any:
    match partitions:
        case None:
            return None
        case dg.MultiPartitionsDefinition():
            return {each.name: _partitions(each.partitions_def) for each in partitions.partitions_defs}
        case dg.DynamicPartitionsDefinition():
            return f"dynamic: {partitions.name}"
        case _:
            return partitions.get_partition_keys()


def _mapping(dep: dg.AssetDep) -> str:
    return "same partition" if dep.partition_mapping is None else type(dep.partition_mapping).__name__


if __name__ == "__main__":
    STORED.write_text(graph_text(), encoding="utf-8")
