"""The study of this code location and its partitions. PRECEPTOR_STUDY is the path of the study file."""

import dagster as dg

from preceptor.study.load import read_study, study_path
from preceptor.study.untuned import untuned_runs

# Read once at start: while the study is served, its file may change.
READ = read_study(study_path())
STUDY = READ.study

# Dynamic partitions are shared by a Dagster instance, so their names include the study's name.
teachers = dg.DynamicPartitionsDefinition(name=f"{STUDY.name}/teachers")
bases = dg.DynamicPartitionsDefinition(name=f"{STUDY.name}/bases")
PARTITIONS = {"teachers": teachers, "bases": bases}
reward_models = dg.StaticPartitionsDefinition([model.name for model in STUDY.reward_models])
recipes = dg.StaticPartitionsDefinition([recipe.name for recipe in STUDY.recipes])
runs = dg.StaticPartitionsDefinition([run.name for run in STUDY.runs])
tuned_bases = dg.StaticPartitionsDefinition(list(untuned_runs(STUDY).values()))
benchmarks = dg.StaticPartitionsDefinition([evaluation.name for evaluation in STUDY.evaluations])

teacher_and_reward_model = dg.MultiPartitionsDefinition({"teacher": teachers, "reward_model": reward_models})
teacher_and_base = dg.MultiPartitionsDefinition({"teacher": teachers, "base": bases})
base_and_benchmark = dg.MultiPartitionsDefinition({"base": tuned_bases, "benchmark": benchmarks})
run_and_benchmark = dg.MultiPartitionsDefinition({"run": runs, "benchmark": benchmarks})


def dimensions(context: dg.AssetExecutionContext) -> dict[str, str]:
    """The partition key of a two-dimensional asset, by dimension."""
    key = context.partition_key
    assert isinstance(key, dg.MultiPartitionKey)
    return dict(key.keys_by_dimension)
