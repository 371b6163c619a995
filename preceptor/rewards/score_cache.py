"""A cache of parsed score files on this machine. Each step is a process and reads only one teacher's part.

Each score file has a folder with `index`, whose first line is the hash of the second, and one Parquet file
per model. Content that does not match its hash is ignored.
"""

import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from preceptor.paths import cache_folder

FOLDERS = 16  # score files kept; the oldest are removed
INDEX = "index"


@dataclass(frozen=True)
class Kept:
    """A ScoreFile without its scores. `files` are the hashes of the score files by model."""

    read: int
    bad_rows: tuple[str, ...]
    models: Mapping[str, int]
    digests: Mapping[str, str]
    files: Mapping[str, str] | None = None


def kept(mark: str) -> Kept | None:
    """The cached content for a fingerprint; None if there is none that is usable."""
    try:
        return _index(_folder() / mark)
    except (OSError, ValueError):
        return None


def kept_scores(mark: str, said: Kept, model: str) -> pl.DataFrame | None:
    """The cached rows of one model; None if they are missing or damaged."""
    try:
        content = (_folder() / mark / _name(model)).read_bytes()
    except OSError:
        return None
    same = hashlib.sha256(content).hexdigest() == (said.files or {}).get(model)
    return pl.read_parquet(io.BytesIO(content)) if same else None


def keep(mark: str, said: Kept, frames: Mapping[str, pl.DataFrame]) -> bool:
    """Cache a file's content. False if that fails, such as on a full disk or without a home folder."""
    folder = _folder()
    incoming = folder / f".{os.getpid()}-{uuid.uuid4().hex}"
    try:
        incoming.mkdir(parents=True)
        files = {model: _written(incoming / _name(model), frame) for model, frame in frames.items()}
        text = json.dumps({**asdict(said), "files": files}).encode()
        (incoming / INDEX).write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        shutil.rmtree(folder / mark, ignore_errors=True)  # damaged; an intact one is not written again
        incoming.rename(folder / mark)
        _forget_oldest(folder)
    except OSError:
        shutil.rmtree(incoming, ignore_errors=True)
        return False
    return True


def _folder() -> Path:
    return cache_folder() / "scores"


def _name(model: str) -> str:
    return f"{hashlib.sha256(model.encode('utf-8', 'surrogatepass')).hexdigest()}.parquet"


@lru_cache(maxsize=8)  # a study asks once per teacher; errors are not cached
def _index(folder: Path) -> Kept:
    mark, _, text = (folder / INDEX).read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != mark:
        raise ValueError(f"{folder} has changed since it was written")
    said = json.loads(text)
    return Kept(**{**said, "bad_rows": tuple(said["bad_rows"])})


def _written(path: Path, frame: pl.DataFrame) -> str:
    content = io.BytesIO()
    frame.write_parquet(content)
    path.write_bytes(content.getvalue())
    return hashlib.sha256(content.getvalue()).hexdigest()


def _forget_oldest(folder: Path) -> None:
    known = sorted((path.stat().st_mtime_ns, path) for path in folder.iterdir() if path.name[0] != ".")
    for _, path in known[:-FOLDERS]:
        shutil.rmtree(path, ignore_errors=True)
