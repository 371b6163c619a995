"""The files of one table as bytes, in a folder or on S3: what is hashed before any library parses it."""

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
REQUESTS = 16  # at once, to S3
Found = TypeVar("Found")
Signature = tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """An open file's bytes; `read` gives so many from a place, and threads may do so at once."""

    size: int
    read: Callable[[int, int], bytes]
    close: Callable[[], None]


@dataclass(frozen=True)
class TableFiles:
    """`filesystem` is None for a local folder. Names are relative to the table; all may raise OSError."""

    uri: str
    filesystem: "FileSystem | None" = None

    @property
    def remote(self) -> bool:
        """Whether each file that is read is a request."""
        return self.filesystem is not None

    @cached_property
    def key(self) -> str:
        """Where the table lies, as PyArrow names it."""
        return object_key(self.uri)

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        try:
            if self.filesystem is None:
                return Path(self.uri, name).read_bytes()
            with self.filesystem.open_input_stream(f"{self.key}/{name}") as stream:
                return bytes(stream.read())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, name: str) -> Placed:
        """A file to read from wherever in it."""
        if self.filesystem is None:
            file = os.open(Path(self.uri, name), os.O_RDONLY)
            size = os.fstat(file).st_size
            return Placed(size, lambda size, place: os.pread(file, size, place), lambda: os.close(file))
        remote = self.filesystem.open_input_file(f"{self.key}/{name}")
        return Placed(remote.size(), remote.read_at, remote.close)

    def sha256(self, name: str) -> str | None:
        """SHA-256 of a file in hex; None where there is none."""
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
        """The same; of a large local file as an earlier process found it, if nothing touched it since."""
        if self.filesystem is not None:
            return self.sha256(name)
        try:
            return file_hash(Path(self.uri, name))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def each(self, ask: Callable[[str], Found], names: Iterable[str]) -> list[Found]:
        """`read` or a hash of many files, in their order."""
        if self.filesystem is None:
            return [ask(name) for name in names]
        with ThreadPoolExecutor(REQUESTS) as pool:
            return list(pool.map(ask, names))

    def names(self, folder: str) -> list[str]:
        """The files directly in a folder of the table, in order; none where there is no folder."""
        if self.filesystem is None:
            try:
                return sorted(path.name for path in Path(self.uri, folder).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []
        from pyarrow import fs

        selector = fs.FileSelector(f"{self.key}/{folder}", allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def signature(self, name: str) -> Signature | None:
        """Times, size and number of a local file: another may be in its place. None on S3, or for no file.

        The second time is when its content or name last changed by any means: nobody can set it back.
        """
        if self.filesystem is not None:
            return None
        try:
            found = Path(self.uri, name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def written(self, name: str) -> float | None:
        """When a file was written, in seconds since 1970; None where there is none."""
        if self.filesystem is None:
            found = self.signature(name)
            return None if found is None else found[0] / 1e9
        modified = self.filesystem.get_file_info(f"{self.key}/{name}").mtime_ns
        return None if modified is None else modified / 1e9

    def write(self, name: str, data: bytes) -> None:
        """Write a small file; it appears whole or not at all."""
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
            # PyArrow copies, since a stream of ours would publish a part when interrupted
            copy_files(file.name, f"{self.key}/{name}", LocalFileSystem(), self.filesystem)
