"""What the study says of one of its parts, with the files that it names; fit for JSON."""

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
    """The evaluation's fingerprints but for the tuned model, and every file that it names."""
    said = said_of(evaluation)
    named = {path: file_identity(path) for path in sorted(set(_paths(said)))}
    return [evaluation_fingerprints(evaluation, checkpoint=""), said, named]


def said_of(part: BaseModel) -> Any:
    """What the study says of a part of it. Raises DoubtError for rows on a hub that may change there."""
    for below in part.parts() if isinstance(part, Frozen) else ():
        if isinstance(below, Records) and below.dataset and not COMMIT.fullmatch(below.revision or ""):
            raise DoubtError(f"{below.dataset} may have changed on the hub")
    return part.model_dump(mode="json")


def _paths(said: Any) -> list[str]:
    """Every absolute path in it that there is: the study's loader made them so."""
    if isinstance(said, dict):
        return [path for value in said.values() for path in _paths(value)]
    if isinstance(said, list):
        return [path for value in said for path in _paths(value)]
    return [said] if isinstance(said, str) and said.startswith("/") and Path(said).exists() else []
