"""Fingerprints: hashes of everything that determines a row, so that only stale work is computed again."""

import hashlib
import json
import re
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from preceptor.compute.chat_template import PROMPT_DATE, TEMPLATES, uses_date
from preceptor.file_hash import file_hash


class UnknownModelError(ValueError):
    """A model that is neither in the local cache nor reachable. The message names it and the fix."""


class Fingerprint(str):
    """16 hexadecimal digits, and in `made_of` the JSON text whose hash they are."""

    made_of: str

    @classmethod
    def of(cls, text: str) -> "Fingerprint":
        """The fingerprint of a text."""
        found = cls(hashlib.sha256(text.encode()).hexdigest()[:16])
        found.made_of = text
        return found


def fingerprint(step: str, version: int, **parts: Any) -> Fingerprint:
    """The fingerprint of a step's name, its version (raised by hand) and everything that it depends on."""
    text = json.dumps({"step": step, "version": version, **parts}, sort_keys=True, ensure_ascii=True)
    return Fingerprint.of(text)


def file_identity(path: str | Path) -> str:
    """The SHA-256 of a file, or of all files of a folder and their names."""
    root = Path(path)
    if root.is_file():
        return file_hash(root)
    sha = hashlib.sha256()
    for file in sorted(p for p in root.rglob("*") if p.is_file() and not _hidden(p.relative_to(root))):
        sha.update(f"{file.relative_to(root)}\0{file_hash(file)}\n".encode())
    return sha.hexdigest()


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def model_identity(model: str, revision: str) -> str:
    """The commit of a hub revision, or the hash of a local folder's files.

    Raises UnknownModelError if the hub cannot be reached and the model is not in the local cache.
    """
    if Path(model).is_dir():
        return f"sha256:{file_identity(model)}"
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return f"{model}@{revision}"
    return f"{model}@{_commit(model, revision)}"


def prompt_identity(
    model: str, revision: str, prompt_format: str, prompt_date: date | None
) -> dict[str, str | None]:
    """The model, the template of a named prompt format, and the date that prompts may show.

    A model's own template is one of its files, so the model's identity covers it.
    """
    identity: dict[str, str | None] = {
        "model": model_identity(model, revision),
        "template": TEMPLATES.get(prompt_format),
    }
    if prompt_format == "own" and uses_date(model):
        identity["prompt_date"] = (prompt_date or PROMPT_DATE).isoformat()
    return identity


@lru_cache(maxsize=256)
def _commit(model: str, revision: str) -> str:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(model, revision=revision, allow_patterns=["config.json"])
    except Exception as error:
        why = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise UnknownModelError(
            f"model {model!r} at revision {revision!r} is neither in the local cache nor reachable ({why});"
            " use a local folder (./folder), or download the model first"
        ) from error
    return Path(folder).name
