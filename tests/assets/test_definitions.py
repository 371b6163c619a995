"""The code location: what Dagster sees, and what importing it costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.studies import document, with_runs, write_benchmarks, write_study

CHECKOUT = Path(__file__).parents[2]

LOOK = """
import sys
import dagster as dg
from definitions import defs
graph = defs.resolve_asset_graph()
for key in graph.get_all_asset_keys():
    node = graph.get(key)
    assert node.description and node.kinds and node.group_name != "default", key
    assert "A row is" in node.description, key
    parents = sorted(parent.to_user_string() for parent in node.parent_keys)
    print(key.to_user_string(), parents, type(node.partitions_def).__name__)
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


def test_the_graph_is_the_designs(seen):
    assert sorted(seen[:-3]) == [
        "base_losses ['raw_instructions', 'responses'] MultiPartitionsDefinition",
        "base_results [] MultiPartitionsDefinition",
        "car_beta_sweep ['base_losses', 'car_table', 'raw_instructions', 'responses', 'rewards'] NoneType",
        "car_table ['base_losses', 'raw_instructions', 'responses', 'rewards'] NoneType",
        "eval_results ['tuned_checkpoint'] MultiPartitionsDefinition",
        "raw_instructions [] NoneType",
        "responses ['raw_instructions'] DynamicPartitionsDefinition",
        "rewards ['raw_instructions', 'responses'] MultiPartitionsDefinition",
        "selected_subset ['base_losses', 'car_table', 'raw_instructions', 'responses', 'rewards']"
        " StaticPartitionsDefinition",
        "study_report ['base_losses', 'base_results', 'car_beta_sweep', 'car_table', 'eval_results',"
        " 'raw_instructions', 'responses', 'rewards', 'selected_subset', 'suitability', 'tuned_checkpoint']"
        " NoneType",
        "suitability ['base_losses', 'car_table', 'raw_instructions', 'responses', 'rewards'] NoneType",
        "tuned_checkpoint ['raw_instructions', 'responses', 'selected_subset'] StaticPartitionsDefinition",
    ]


def test_a_run_depends_on_its_own_recipe_and_not_on_one_of_its_name(seen):
    assert seen[-3] == "mapped {'of-brief': ['a-brief'], 'of-chatty': ['a-chatty']}"


def test_lost_answers_and_repeated_ones_stop_what_follows(seen):
    assert seen[-2] == "blocking ['accounting', 'unique_keys'] ['accounting', 'unique_keys']"


def test_importing_the_definitions_loads_nothing_heavy(seen):
    assert seen[-1] == "heavy []"
