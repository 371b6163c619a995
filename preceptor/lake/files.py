"""Single text files beside the tables: a reader sees the old text or the new one, never a part."""

import hashlib
import tempfile
from pathlib import Path

from pyarrow.fs import LocalFileSystem, copy_files

from preceptor.lake.place import object_key
from preceptor.lake.store import Lake, LakeError

REPORT = "report.html"
SEAL = "<!-- sha256 of all before: "  # the last line of a page that says whether it is as it was written


def sealed(page: str) -> str:
    """A page with its own hash as its last line."""
    return f"{page}\n{SEAL}{hashlib.sha256(page.encode()).hexdigest()} -->\n"


def is_sealed(page: str) -> bool:
    """Whether a page is, to the last byte, as it was written."""
    return page == sealed(page.rpartition(f"\n{SEAL}")[0])


def read_text(lake: Lake, uri: str) -> str | None:
    """The file's text, None where there is none."""
    try:
        if not lake.remote:
            return Path(uri).read_bytes().decode()
        with lake.filesystem.open_input_stream(object_key(uri)) as file:
            return bytes(file.read()).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise LakeError(f"{uri} is damaged: {error}. Remove it, and it is made again") from error
    except OSError as error:
        raise LakeError(f"cannot read {uri}: {error}") from error


def write_text(lake: Lake, uri: str, text: str) -> None:
    """Replace the file. Raises LakeError where it cannot be written; the old text stays then."""
    try:
        with tempfile.TemporaryDirectory(dir=None if lake.remote else Path(uri).parent) as folder:
            incoming = Path(folder, "incoming")
            incoming.write_text(text, encoding="utf-8")
            if lake.remote:  # PyArrow copies, since a stream of ours would publish a part when interrupted
                copy_files(str(incoming), object_key(uri), LocalFileSystem(), lake.filesystem)
            else:
                incoming.replace(uri)
    except OSError as error:
        raise LakeError(
            f"cannot write {uri}: {error}. Set PRECEPTOR_STORE to a place with space and write access."
        ) from error
