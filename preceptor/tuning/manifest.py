"""What a tuned model was made of, written beside its weights as manifest.json."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from preceptor.fingerprint import model_identity
from preceptor.lake.schemas import RESPONSES, SELECTED_SUBSET, Table
from preceptor.lake.store import Lake, Partition
from preceptor.tuning.examples import Examples
from preceptor.tuning.task import Task
from preceptor.tuning.train import Training

PACKAGES = ("preceptor", "torch", "transformers", "trl", "peft", "accelerate")


def make_manifest(
    task: Task, origins: dict[str, Any], examples: Examples, training: Training
) -> dict[str, Any]:
    """Every origin and number of a run; rows that were cut or left out are named with the reason."""
    run, base = task.run, task.base
    return {
        "study": task.study,
        "run": run.name,
        "recipe": run.recipe,
        "fingerprint": task.fingerprint,
        "base": {**base.model_dump(mode="json"), "identity": model_identity(base.model, base.revision)},
        "prompt_format": base.prompt_format,
        "tuning": task.tuning.model_dump(mode="json"),
        "seed": run.seed,
        "origins": origins,
        "rows": len(examples.rows),
        "tokens": examples.tokens,
        "truncated_rows": examples.truncated,
        "failed_rows": examples.failed,
        **asdict(training),
        "packages": {name: version(name) for name in PACKAGES},
    }


def origins(lake: Lake, task: Task, read: Mapping[str, int | None]) -> dict[str, Any]:
    """The tables' versions that the rows were read from, and the fingerprints of the partitions in them."""
    wanted: list[tuple[Table, Partition]] = [(SELECTED_SUBSET, {"recipe": task.run.recipe})]
    wanted += [(RESPONSES, {"teacher": teacher}) for teacher in sorted(set(task.rows["teacher"]))]
    fingerprints: dict[str, dict[str, list[str]]] = {}
    for table, partition in wanted:
        if table.name in read:
            rows = lake.read(table, partition, columns=["fingerprint"], version=read[table.name])
            (name,) = partition.values()
            fingerprints.setdefault(table.name, {})[name] = sorted(set(rows["fingerprint"]))
    return {"versions": dict(read), "fingerprints": fingerprints}
