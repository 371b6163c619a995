"""Open files for reading, and the types that readers return for each row.

Only regular files are opened, and only if their content matches their name.
"""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from preceptor.paths import path_problem

Row = dict[str, Any]
Placed = tuple[str, Row | str]  # a place, and its row or the reason why there is none
MEGABYTE = 2**20
LARGEST_ROW = 16 * MEGABYTE  # bytes, about four million tokens
GZIP = b"\x1f\x8b"
# First bytes of files that are not UTF-8 text, with the message. Longer byte sequences come first.
BEGINNINGS = (
    (b"\xff\xfe\x00\x00", "is UTF-32 text; save it as UTF-8 (iconv -f UTF-32 -t UTF-8)"),
    (b"\x00\x00\xfe\xff", "is UTF-32 text; save it as UTF-8 (iconv -f UTF-32 -t UTF-8)"),
    (b"\xff\xfe", "is UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "is UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (GZIP, "is compressed with gzip; add .gz to its name"),
    (b"PAR1", "is a Parquet file; rename it to .parquet"),
    (b"PK\x03\x04", "is a ZIP archive (as spreadsheets are); unpack it, or save the sheet as .csv"),
    (b"\x28\xb5\x2f\xfd", "is compressed with Zstandard; decompress it, or use gzip"),
    (b"BZh", "is compressed with bzip2; decompress it, or use gzip"),
    (
        b"version https://git-lfs",
        "is a Git LFS pointer and not the file itself; download it with 'git lfs pull'",
    ),
    (b"<!DOCTYPE", "is a web page, perhaps from a failed download; download the file again"),
    (b"<html", "is a web page, perhaps from a failed download; download the file again"),
)
BOM = b"\xef\xbb\xbf"
# CP1252 equals Latin-1 in all printable characters and adds curly quotes.
LEGACY = "save it as UTF-8 (from Windows or Latin-1: iconv -f CP1252 -t UTF-8)"

Binary = gzip.GzipFile | BufferedReader


class RecordsError(ValueError):
    """A file that cannot be read at all, unlike a file with one bad row."""


def open_binary(path: Path) -> Binary:
    """The file's bytes, decompressed. Raises RecordsError unless it is a regular file."""
    problem = path_problem(path)
    if problem is not None:
        raise RecordsError(f"{path}: {problem}")
    if path.suffix != ".gz":
        return path.open("rb")
    with path.open("rb") as file:
        first = file.read(64)
    if first and not first.startswith(GZIP):
        refuse_kind(path, first)
        raise RecordsError(f"{path}: is not compressed with gzip; remove .gz from its name, or compress it")
    return gzip.open(path, "rb")


def beginning(path: Path, size: int = 4096) -> bytes:
    """The first bytes without a UTF-8 BOM. Raises RecordsError if they show another kind of file."""
    with open_binary(path) as file:
        first = file.read(size)
    refuse_kind(path, first)
    return first.removeprefix(BOM)


def refuse_kind(path: Path, first: bytes) -> None:
    """Raise RecordsError, with the fix, if a file's first bytes show that it is not UTF-8 text."""
    for mark, sentence in BEGINNINGS:
        if first[: len(mark)].lower() == mark.lower():
            raise RecordsError(f"{path}: {sentence}")
    zeros = [place for place, byte in enumerate(first[:64]) if byte == 0]
    if len(zeros) >= max(2, len(first[:64]) // 4) and len({place % 2 for place in zeros}) == 1:
        raise RecordsError(
            f"{path}: is UTF-16 text without a BOM; save it as UTF-8 (iconv -f UTF-16LE -t UTF-8)"
        )


def not_utf8(error: UnicodeDecodeError) -> str:
    """The message for bytes that are not UTF-8, with the bad byte and the fix."""
    return f"not UTF-8 (byte {error.object[error.start]:#04x} at {error.start + 1}): {LEGACY}"


def too_large(what: str) -> str:
    """The message for a row or line of more than LARGEST_ROW."""
    return f"{what} of more than {LARGEST_ROW // MEGABYTE} MiB, which is the limit; split or shorten it"


def sized(row: Row) -> Row | str:
    """The row, or the message that it is too large."""
    return too_large("a row") if _characters(row) > LARGEST_ROW else row


def numbered(rows: Iterable[Row], name: str) -> Iterator[Placed]:
    """Yield rows with their index as place."""
    for number, row in enumerate(rows):
        yield f"{name}[{number}]", sized(row)


def refuse_repeated(place: str, columns: Iterable[str]) -> None:
    """Raise RecordsError if two columns have the same name, because a row can contain only one of them."""
    repeated = [name for name, times in Counter(columns).items() if name and times > 1]
    if repeated:
        raise RecordsError(f"{place} names the column {repeated[0]!r} twice; rename one of them")


def _characters(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(item) for pair in value.items() for item in pair)
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 1
