"""The manifest of a tuned model: its origins and figures, written beside its weights as manifest.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from preceptor.fingerprint import file_identity, model_identity
from preceptor.lake.history import commit_of, history
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET, Table
from preceptor.lake.store import Lake, Partition
from preceptor.tuning.examples import Examples
from preceptor.tuning.publication import Publication
from preceptor.tuning.task import CUT, Task
from preceptor.tuning.train import Training

PACKAGES = ("preceptor", "torch", "transformers", "trl", "peft", "accelerate")


def make_manifest(
    task: Task,
    origins: dict[str, Any],
    examples: Examples,
    training: Training,
    publication: Publication,
    folder: Path,
) -> dict[str, Any]:
    """The origins of a run's rows and base, its figures, and the hash of every file in its folder.

    Rows that were truncated or left out are listed with the reason.
    """
    run, base = task.run, task.base
    return {
        "study": task.study,
        "run": run.name,
        "recipe": run.recipe,
        "fingerprint": task.fingerprint,
        "base": {**base.model_dump(mode="json"), "identity": model_identity(base.model, base.revision)},
        "prompt_format": base.prompt_format,
        "tuning": task.tuning.model_dump(mode="json"),
        "objective": task.tuning.objective.model_dump(mode="json"),
        "seed": run.seed,
        "origins": origins,
        "rows": len(examples.rows),
        "tokens": examples.tokens,
        "truncated_rows": examples.truncated,
        "failed_rows": examples.failed,
        "cut_responses": _cut_responses(task),
        **asdict(training),
        "published_as_trained": asdict(publication),
        "packages": {name: version(name) for name in PACKAGES},
        "files": file_hashes(folder),
    }


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The content of manifest.json, byte for byte."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _cut_responses(task: Task) -> dict[str, int]:
    """The number of responses cut at the token limit, and of those whose ending is not known."""
    endings, left_out = task.rows["finish_reason"], task.rows["cut_left_out"]
    return {
        "left_out": int(left_out.drop_nulls().max() or 0),  # type: ignore[arg-type]
        "kept_without_their_end": int((endings == CUT).sum()),
        "not_known": endings.null_count(),
    }


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_identity(path) for path in files}


def origins(lake: Lake, task: Task, read: Mapping[str, int | None]) -> dict[str, Any]:
    """Versions of the tables that the rows were read from, and hashes of their partitions."""
    wanted: list[tuple[Table, Partition]] = [
        (SELECTED_SUBSET, {"recipe": task.run.recipe}),
        *((RESPONSES, {"teacher": teacher}) for teacher in sorted(set(task.rows["teacher"]))),
        (RAW_INSTRUCTIONS, {}),
    ]
    partitions = [
        _origin(lake, table, partition, read[table.name]) for table, partition in wanted if table.name in read
    ]
    return {"versions": dict(read), "partitions": partitions}


def _origin(lake: Lake, table: Table, partition: Partition, version: int | None) -> dict[str, Any]:
    commit = commit_of(history(lake, table), partition, version)
    known = {"fingerprint": commit.fingerprint, "content": commit.content} if commit else {}
    return {"table": table.name, "partition": dict(partition), "version": version, **known}
