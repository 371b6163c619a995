"""The files of one table as bytes, in a folder or on S3. They are hashed before any library parses them."""

import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from preceptor.file_hash import file_hash
from preceptor.lake.place import object_key

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CHUNK = 1 << 20
REQUESTS = 16  # concurrent requests to S3
Found = TypeVar("Found")
Signature = tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """An open file. `read(size, offset)` returns bytes and is thread-safe. `size` is in bytes."""

    size: int
    read: Callable[[int, int], bytes]
    close: Callable[[], None]


@dataclass(frozen=True)
class TableFiles:
    """A table's files. Names are relative to `uri`; `filesystem` is None for a local folder.

    All methods may raise OSError.
    """

    uri: str
    filesystem: "FileSystem | None" = None

    @property
    def remote(self) -> bool:
        """Whether reading a file takes a network request."""
        return self.filesystem is not None

    @cached_property
    def key(self) -> str:
        """The table's location, as PyArrow expects it."""
        return object_key(self.uri)

    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None if it does not exist."""
        try:
            if self.filesystem is None:
                return Path(self.uri, name).read_bytes()
            with self.filesystem.open_input_stream(f"{self.key}/{name}") as stream:
                return bytes(stream.read())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, name: str) -> Placed:
        """Open a file for random access."""
        if self.filesystem is None:
            file = os.open(Path(self.uri, name), os.O_RDONLY)
            size = os.fstat(file).st_size
            return Placed(size, lambda size, place: os.pread(file, size, place), lambda: os.close(file))
        remote = self.filesystem.open_input_file(f"{self.key}/{name}")
        return Placed(remote.size(), remote.read_at, remote.close)

    def sha256(self, name: str) -> str | None:
        """A file's SHA-256 in hex, or None if it does not exist."""
        try:
            if self.filesystem is None:
                with Path(self.uri, name).open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
            sha = hashlib.sha256()
            with self.filesystem.open_input_stream(f"{self.key}/{name}") as stream:
                while chunk := stream.read(CHUNK):
                    sha.update(chunk)
            return sha.hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def known_sha256(self, name: str) -> str | None:
        """Like `sha256`, but takes an untouched large local file's hash from a cache."""
        if self.filesystem is not None:
            return self.sha256(name)
        try:
            return file_hash(Path(self.uri, name))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def each(self, ask: Callable[[str], Found], names: Iterable[str]) -> list[Found]:
        """The result of `read` or a hash for each of many files, in order."""
        if self.filesystem is None:
            return [ask(name) for name in names]
        with ThreadPoolExecutor(REQUESTS) as pool:
            return list(pool.map(ask, names))

    def names(self, folder: str) -> list[str]:
        """Sorted names of the files directly in a folder of the table; empty if the folder does not exist."""
        if self.filesystem is None:
            try:
                return sorted(path.name for path in Path(self.uri, folder).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []
        from pyarrow import fs

        selector = fs.FileSelector(f"{self.key}/{folder}", allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def signature(self, name: str) -> Signature | None:
        """A local file's mtime, ctime, size and inode; None on S3 or if it does not exist.

        A replaced or changed file has another signature. Unlike mtime, ctime cannot be set back.
        """
        if self.filesystem is not None:
            return None
        try:
            found = Path(self.uri, name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def written(self, name: str) -> float | None:
        """When a file was written, in seconds since 1970, or None if it does not exist."""
        if self.filesystem is None:
            found = self.signature(name)
            return None if found is None else found[0] / 1e9
        modified = self.filesystem.get_file_info(f"{self.key}/{name}").mtime_ns
        return None if modified is None else modified / 1e9

    def write(self, name: str, data: bytes) -> None:
        """Write a small file. It appears completely or not at all."""
        if self.filesystem is None:
            path = Path(self.uri, name)
            incoming = path.with_name(f".{uuid.uuid4().hex}")
            path.parent.mkdir(exist_ok=True)
            try:
                incoming.write_bytes(data)
                incoming.replace(path)
            finally:
                incoming.unlink(missing_ok=True)
            return
        from pyarrow.fs import LocalFileSystem, copy_files

        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            # PyArrow's copy, since an interrupted output stream publishes a part.
            copy_files(file.name, f"{self.key}/{name}", LocalFileSystem(), self.filesystem)
