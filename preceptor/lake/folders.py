"""Whole folders in the lake, such as models. A folder is published completely or not at all.

A folder exists as soon as its manifest.json does. A local folder appears by one rename. S3 has no rename, so
the manifest is uploaded last.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from preceptor.lake.place import object_key
from preceptor.lake.store import Lake, LakeError
from preceptor.paths import cache_folder
from preceptor.text import digest

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
INCOMING = ".incoming-"


def folder_uri(lake: Lake, *parts: str) -> str:
    """The URI of a folder of the study, beside its tables."""
    return "/".join((lake.home, *parts))


def workplace(lake: Lake, *parts: str) -> Path:
    """A local folder for unfinished work: in a local lake, or in this machine's cache for a remote one."""
    if lake.remote:
        return cache_folder() / "work" / digest(lake.root) / Path(lake.study, *parts)
    return Path(folder_uri(lake, "_work", *parts))


def exists(lake: Lake, uri: str) -> bool:
    """Whether a folder is published under this URI."""
    return read_manifest(lake, uri) is not None


def published(lake: Lake, *parts: str) -> list[str]:
    """The URIs of all folders published anywhere under a folder of the study."""
    place = folder_uri(lake, *parts)
    found = (Path(name) for name in file_sizes(lake, place))
    return sorted(f"{place}/{name.parent}" for name in found if name.name == MANIFEST)


def file_sizes(lake: Lake, uri: str) -> dict[str, int]:
    """Size in bytes of every file under a URI, by relative path; empty if there is none. Raises LakeError."""
    from pyarrow import fs

    place = object_key(uri)
    try:
        infos = lake.filesystem.get_file_info(fs.FileSelector(place, allow_not_found=True, recursive=True))
    except OSError as error:
        raise LakeError(f"cannot list {uri}: {error}") from error
    return {i.path.removeprefix(f"{place}/"): i.size for i in infos if i.type == fs.FileType.File}


def stored_hash(lake: Lake, uri: str) -> str:
    """SHA-256 of the file in the store, never of this machine's cached copy. Raises LakeError."""
    sha = hashlib.sha256()
    try:
        with lake.filesystem.open_input_stream(object_key(uri)) as stream:
            while chunk := stream.read(1 << 20):
                sha.update(chunk)
    except OSError as error:
        raise LakeError(f"cannot read {uri}: {error}") from error
    return sha.hexdigest()


def remove_file(lake: Lake, uri: str) -> None:
    """Remove one file, if it exists. Raises LakeError if it cannot be removed."""
    try:
        if lake.remote:
            lake.filesystem.delete_file(object_key(uri))
        else:
            Path(uri).unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LakeError(f"cannot remove {uri}: {error}") from error


def read_manifest(lake: Lake, uri: str) -> str | None:
    """The text of the folder's manifest.json, or None if the folder is not published. Raises LakeError."""
    try:
        if not lake.remote:
            data = (Path(uri) / MANIFEST).read_bytes()
        else:
            with lake.filesystem.open_input_stream(f"{object_key(uri)}/{MANIFEST}") as file:
                data = bytes(file.read())
        return data.decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise LakeError(f"{uri}/{MANIFEST} is damaged: {error}") from error
    except OSError as error:
        raise LakeError(f"cannot read {uri}/{MANIFEST}: {error}") from error


def publish(lake: Lake, folder: Path, uri: str) -> None:
    """Move a local folder with a manifest.json to a URI. A folder that is already published there stays.

    Raises LakeError, and publishes nothing, if the folder has no manifest or the store cannot be written.
    """
    if not (folder / MANIFEST).is_file():
        raise LakeError(f"{folder} holds no {MANIFEST}: refusing to publish a folder without a manifest")
    try:
        if not exists(lake, uri):
            _upload(lake.filesystem, folder, object_key(uri)) if lake.remote else _move(folder, Path(uri))
    except OSError as error:
        raise LakeError(
            f"cannot publish {uri}: {error}."
            " None of it is visible. Set PRECEPTOR_STORE to a place with space and write access."
        ) from error
    shutil.rmtree(folder, ignore_errors=True)


def fetch(lake: Lake, uri: str) -> Path:
    """The local path of a published folder. A folder on S3 is downloaded to this machine once.

    Raises LakeError if nothing is published at the URI.
    """
    manifest = read_manifest(lake, uri)
    if manifest is None:
        raise LakeError(f"nothing is published at {uri}: materialize the asset that writes it again")
    if not lake.remote:
        return Path(uri)
    copy = cache_folder() / "folders" / digest(uri) / Path(uri).name
    with alone(copy.parent):
        if not (copy / MANIFEST).is_file() or (copy / MANIFEST).read_text(encoding="utf-8") != manifest:
            _download(lake.filesystem, object_key(uri), copy)
    return copy


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread holds the folder's lock, and hold it. A kill releases it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process to finish its work in %s", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _move(folder: Path, target: Path) -> None:
    with alone(target.parent):
        for leftover in target.parent.glob(f"{INCOMING}*"):  # we hold the lock, so its process is dead
            shutil.rmtree(leftover)
        if (target / MANIFEST).is_file():
            return
        shutil.rmtree(target, ignore_errors=True)  # a folder that lost its manifest
        incoming = target.parent / f"{INCOMING}{uuid.uuid4().hex}"
        shutil.move(folder, incoming)
        synchronise(incoming)
        incoming.rename(target)
        _synchronise_one(target.parent)


def synchronise(folder: Path) -> None:
    """Flush every file of a folder to disk, so that a power cut cannot leave half of it behind."""
    for path in (*folder.rglob("*"), folder):
        _synchronise_one(path)


def _synchronise_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _upload(s3: Any, folder: Path, key: str) -> None:
    """Upload the manifest last. Uses PyArrow's copy, since an interrupted output stream publishes a part."""
    from pyarrow import fs

    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: (name == MANIFEST, name)):
        fs.copy_files(str(folder / name), f"{key}/{name}", fs.LocalFileSystem(), s3)


def _download(s3: Any, key: str, copy: Path) -> None:
    from pyarrow import fs

    for leftover in copy.parent.glob(f"{INCOMING}*"):
        shutil.rmtree(leftover)
    incoming = copy.parent / f"{INCOMING}{uuid.uuid4().hex}"
    incoming.mkdir()
    fs.copy_files(key, str(incoming), s3, fs.LocalFileSystem())
    shutil.rmtree(copy, ignore_errors=True)
    incoming.rename(copy)
