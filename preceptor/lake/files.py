"""Single text files beside the tables. A reader sees the old text or the new text, never a part of one."""

import hashlib
import tempfile
from pathlib import Path

from pyarrow.fs import LocalFileSystem, copy_files

from preceptor.lake.place import object_key
from preceptor.lake.store import Lake, LakeError

REPORT = "report.html"
SEAL = "<!-- sha256 of all before: "  # start of a page's last line, which holds the page's hash


def sealed(page: str) -> str:
    """The page with its SHA-256 appended as its last line."""
    return f"{page}\n{SEAL}{hashlib.sha256(page.encode()).hexdigest()} -->\n"


def is_sealed(page: str) -> bool:
    """Whether a page still matches the hash in its last line."""
    return page == sealed(page.rpartition(f"\n{SEAL}")[0])


def read_text(lake: Lake, uri: str) -> str | None:
    """The file's text, or None if the file does not exist. Raises LakeError if it cannot be read."""
    try:
        if not lake.remote:
            return Path(uri).read_bytes().decode()
        with lake.filesystem.open_input_stream(object_key(uri)) as file:
            return bytes(file.read()).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise LakeError(f"{uri} is damaged: {error}. Remove the file; it will be written again") from error
    except OSError as error:
        raise LakeError(f"cannot read {uri}: {error}") from error


def write_text(lake: Lake, uri: str, text: str) -> None:
    """Replace the file. Raises LakeError if it cannot be written; the old text then stays."""
    try:
        with tempfile.TemporaryDirectory(dir=None if lake.remote else Path(uri).parent) as folder:
            incoming = Path(folder, "incoming")
            incoming.write_text(text, encoding="utf-8")
            if lake.remote:  # PyArrow's copy, since an interrupted output stream publishes a part
                copy_files(str(incoming), object_key(uri), LocalFileSystem(), lake.filesystem)
            else:
                incoming.replace(uri)
    except OSError as error:
        raise LakeError(
            f"cannot write {uri}: {error}. Set PRECEPTOR_STORE to a place with space and write access."
        ) from error
