"""A local copy of an S3 prefix that people add files to. Each file appears completely or not at all."""

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.lake.folders import INCOMING, alone
from preceptor.lake.place import object_key
from preceptor.lake.store import Lake, LakeError
from preceptor.paths import cache_folder
from preceptor.text import digest

COMPLETE = ".complete"


@dataclass(frozen=True)
class Mirror:
    """The local copy. `problem` says why it may be outdated; `complete`: whether an update ever succeeded."""

    folder: Path
    complete: bool
    problem: str | None = None


def mirrored(uri: str) -> Mirror:
    """Update this machine's copy of a prefix. If the store cannot be reached, the copy stays unchanged."""
    folder = cache_folder() / "mirrors" / digest(uri.rstrip("/"))
    mark = folder.with_name(f"{folder.name}{COMPLETE}")
    with alone(folder):
        try:
            _update(uri.rstrip("/"), folder)
        except (OSError, LakeError) as error:
            problem = f"{uri} cannot be read: {error}. Check the address, the AWS_* variables and the network"
            return Mirror(folder, mark.exists(), problem)
        mark.touch()
    return Mirror(folder, True)


def _update(uri: str, folder: Path) -> None:
    """Download files whose size or time differs from the copy, and delete files that are gone on S3."""
    from pyarrow import fs

    s3, key = Lake(uri, "").filesystem, object_key(uri)
    # A missing prefix raises: it is a typing mistake or a lost bucket, not a request to delete every file.
    listed = s3.get_file_info(fs.FileSelector(key, recursive=True))
    wanted = {info.path.removeprefix(f"{key}/"): info for info in listed if info.type == fs.FileType.File}
    wanted = {name: info for name, info in wanted.items() if _plain(name)}
    _delete_all_but({".lock", *wanted}, folder)
    for name, info in wanted.items():
        if not _same(folder / name, info):
            _fetch(s3, info, folder / name)


def _delete_all_but(names: set[str], folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):  # files before the folder that holds them
        if path.is_dir():
            with suppress(OSError):  # not empty
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in names:
            path.unlink()


def _plain(name: str) -> bool:
    """Whether an object's key is safe as a relative path: it must not leave the folder or be hidden."""
    parts = name.split("/")
    return not any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts)


def _same(file: Path, info: Any) -> bool:
    try:
        found = file.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (info.size, info.mtime_ns)


def _fetch(s3: Any, info: Any, file: Path) -> None:
    from pyarrow import fs

    if file.is_dir():
        raise LakeError(f"{info.path} is both an object and a folder of objects: rename one of them")
    file.parent.mkdir(parents=True, exist_ok=True)
    incoming = file.with_name(f"{INCOMING}{uuid.uuid4().hex}")
    try:
        fs.copy_files(info.path, str(incoming), s3, fs.LocalFileSystem())
        os.utime(incoming, ns=(info.mtime_ns, info.mtime_ns))
        incoming.replace(file)
    finally:
        incoming.unlink(missing_ok=True)
