"""A part of the study as JSON-compatible data, with the files that it names."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from preceptor.evaluation.evaluate import evaluation_fingerprints
from preceptor.fingerprint import file_identity
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.fields import Frozen, Records
from preceptor.unchanged.tables import DoubtError

COMMIT = re.compile("[0-9a-f]{40}")


def evaluated(evaluation: AnyEvaluation) -> Any:
    """The evaluation's settings, its fingerprints without the tuned model, and the files that it names."""
    settings = said_of(evaluation)
    named = {path: file_identity(path) for path in sorted(set(_paths(settings)))}
    return [evaluation_fingerprints(evaluation, checkpoint=""), settings, named]


def said_of(part: BaseModel) -> Any:
    """A part's settings. Raises DoubtError if it reads a hub's dataset without a fixed commit."""
    for below in part.parts() if isinstance(part, Frozen) else ():
        if isinstance(below, Records) and below.dataset and not COMMIT.fullmatch(below.revision or ""):
            raise DoubtError(f"{below.dataset} may have changed on the hub: its revision is no commit")
    return part.model_dump(mode="json")


def _paths(value: Any) -> list[str]:
    """Every existing absolute path in the settings. The study's loader made all paths absolute."""
    if isinstance(value, dict):
        return [path for part in value.values() for path in _paths(part)]
    if isinstance(value, list):
        return [path for part in value for path in _paths(part)]
    return [value] if isinstance(value, str) and value.startswith("/") and Path(value).exists() else []
