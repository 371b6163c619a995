"""The identity of a benchmark for fingerprints: everything that changes a row."""

from pathlib import Path
from typing import Any

from preceptor.evaluation.lm_eval.package import definitions_folder, lm_eval_version
from preceptor.evaluation.lm_eval.presets import Preset, Task
from preceptor.evaluation.lm_eval.rows import split_files
from preceptor.evaluation.lm_eval.run import DTYPE
from preceptor.fingerprint import file_identity

VERSION = 2  # 2: no extra token before a chat template
COMPILED = "__pycache__"


def benchmark_identity(preset: Preset, data: Path, seed: int) -> dict[str, Any]:
    """lm-eval's version, the hashes of task definitions and rows, and all settings, as JSON data.

    It does not include the model. Raises MissingPackageError without lm-eval, BenchmarkError without files.
    """
    return {
        "version": VERSION,
        "lm_eval": lm_eval_version(),
        "definitions": _hashes(definitions_folder(preset)),
        "tasks": {task.name: _rows(preset, task, data) for task in preset.tasks},
        "shots": preset.shots,
        "limit": preset.limit,
        "seed": seed,
        "dtype": DTYPE,
        "response_tokens": preset.response_tokens,
        "apply_chat_template": preset.apply_chat_template,
        "main_measure": preset.main_measure,
    }


def _hashes(folder: Path) -> dict[str, str]:
    """The hashes of a folder's files by name, without Python's compiled files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and COMPILED not in path.parts)
    return {path.relative_to(folder).as_posix(): file_identity(path) for path in files}


def _rows(preset: Preset, task: Task, data: Path) -> dict[str, list[str]]:
    files = split_files(preset, task, data)
    return {split: [file_identity(path) for path in paths] for split, paths in files.items()}
