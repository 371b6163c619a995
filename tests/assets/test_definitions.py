"""The code location: its asset graph, its metadata, and what it imports."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.assets.graph import STORED, graph_text
from tests.studies import document, with_runs, write_benchmarks, write_study

CHECKOUT = Path(__file__).parents[2]
FILES = {"car_beta_sweep": "car_table"}

LOOK = """
import sys
import dagster as dg
from definitions import defs
graph = defs.resolve_asset_graph()
for key in graph.get_all_asset_keys():
    node = graph.get(key)
    assert node.description and node.kinds and node.group_name != "default", key
    assert "A row is" in node.description, key
    (source,) = node.metadata["dagster/code_references"].code_references
    print("asset", key.to_user_string(), source.source, node.code_version)
from assets.lineage import LINEAGE
for table, columns in LINEAGE.items():
    above = {key.to_user_string() for key in graph.get_ancestor_asset_keys(dg.AssetKey(table))}
    assert {parent for parents in columns.values() for parent, _ in parents} <= above, table
from assets.tuned_checkpoint import RECIPE_TO_RUNS
mapped = RECIPE_TO_RUNS.downstream_partition_keys_by_upstream_partition_key
print("mapped", {recipe: sorted(runs) for recipe, runs in mapped.items() if runs})
from assets.base_results import base_results
from assets.eval_results import eval_results
both = base_results, eval_results
print("blocking", *(sorted(spec.name for spec in asset.check_specs if spec.blocking) for asset in both))
heavy = set("torch transformers matplotlib datasets vllm pandas trl peft plotly sklearn jinja2".split())
print("heavy", sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> list[str]:
    study = write_study(tmp_path_factory.mktemp("study"))
    write_benchmarks(study.parent)
    study.write_text(yaml.safe_dump(with_runs(document("small"))))
    environment = {**os.environ, "PRECEPTOR_STUDY": str(study)}
    command = [sys.executable, "-W", "error::DeprecationWarning:dagster", "-c", LOOK]
    result = subprocess.run(command, cwd=CHECKOUT, env=environment, text=True, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    return result.stdout.splitlines()


def test_the_asset_graph_equals_the_stored_one():
    assert graph_text() == STORED.read_text(), "renew it: python -m tests.assets.graph"


def test_every_asset_names_its_file_and_the_version_of_its_code(seen):
    sources = [line.split(maxsplit=3)[1:] for line in seen if line.startswith("asset ")]
    assert len(sources) == 12
    for asset, source, version in sources:
        file, line = source.rsplit(":", 1)
        # The link points to the decorators above the function.
        assert Path(file) == CHECKOUT / "assets" / f"{FILES.get(asset, asset)}.py"
        below = Path(file).read_text().splitlines()[int(line) - 1 :]
        assert below[0].startswith("@dg.asset") and f"def {asset}(" in "\n".join(below)
        assert any(part.isdigit() for part in version.split())


def test_a_run_depends_on_its_recipe_even_if_another_recipe_has_the_runs_name(seen):
    assert seen[-3] == "mapped {'of-brief': ['a-brief'], 'of-chatty': ['a-chatty']}"


def test_lost_and_repeated_answers_block_downstream_assets(seen):
    assert seen[-2] == "blocking ['accounting', 'unique_keys'] ['accounting', 'unique_keys']"


def test_importing_the_definitions_loads_no_heavy_library(seen):
    assert seen[-1] == "heavy []"


@pytest.mark.parametrize("command", [["check", "defs"], ["list", "defs", "--json"]])
def test_dagsters_dg_command_loads_the_project(tmp_path, command):
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(CHECKOUT / "jobs" / "dagster.yaml", home)
    study = write_study(tmp_path)
    environment = {**os.environ, "PRECEPTOR_STUDY": str(study), "DAGSTER_HOME": str(home)}
    program = Path(sys.executable).with_name("dg")
    result = subprocess.run(
        [program, *command], cwd=CHECKOUT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0 and not result.stderr, result.stdout + result.stderr
    if "--json" in command:
        listed = {asset["asset_key"]: asset for asset in json.loads(result.stdout)["assets"]}
        assert listed["car_table"]["owners"] == [{"team": "preceptor"}]
        assert listed["car_table"]["source"].startswith("assets/car_table.py:")
