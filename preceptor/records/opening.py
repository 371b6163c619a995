"""A file opened for reading, and what its reader gives for each row.

Only a regular file is opened, and only one that holds what its name promises.
"""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from preceptor.paths import path_problem

Row = dict[str, Any]
Placed = tuple[str, Row | str]  # a place, and its row or the sentence that says why there is none
MEGABYTE = 2**20
LARGEST_ROW = 16 * MEGABYTE  # bytes: some four million tokens
GZIP = b"\x1f\x8b"
# How files begin that are no text in UTF-8, what they are, and what to do about it. The longer mark first.
BEGINNINGS = (
    (b"\xff\xfe\x00\x00", "is text in UTF-32: save it as UTF-8 (iconv -f UTF-32 -t UTF-8)"),
    (b"\x00\x00\xfe\xff", "is text in UTF-32: save it as UTF-8 (iconv -f UTF-32 -t UTF-8)"),
    (b"\xff\xfe", "is text in UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "is text in UTF-16: save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (GZIP, "is packed by gzip: let its name end in .gz"),
    (b"PAR1", "is a Parquet file: let its name end in .parquet"),
    (b"PK\x03\x04", "is a ZIP archive (a spreadsheet is one too): unpack it, or save the sheet as .csv"),
    (b"\x28\xb5\x2f\xfd", "is packed by Zstandard: unpack it, or pack it by gzip"),
    (b"BZh", "is packed by bzip2: unpack it, or pack it by gzip"),
    (
        b"version https://git-lfs",
        "is a pointer of Git LFS and not the file itself: fetch it by 'git lfs pull'",
    ),
    (b"<!DOCTYPE", "is a web page, perhaps what a failed download left: fetch the file again"),
    (b"<html", "is a web page, perhaps what a failed download left: fetch the file again"),
)
BOM = b"\xef\xbb\xbf"
# Windows' code page agrees with Latin-1 in all that is printed, and has the curly quotes beside.
LEGACY = "save it as UTF-8 (from Windows or Latin-1: iconv -f CP1252 -t UTF-8)"

Binary = gzip.GzipFile | BufferedReader


class RecordsError(ValueError):
    """A file that cannot be read at all, as opposed to one bad row in it."""


def open_binary(path: Path) -> Binary:
    """The file's bytes, unpacked. Raises RecordsError for what is no regular file."""
    problem = path_problem(path)
    if problem is not None:
        raise RecordsError(f"{path}: {problem}")
    if path.suffix != ".gz":
        return path.open("rb")
    with path.open("rb") as file:
        first = file.read(64)
    if first and not first.startswith(GZIP):
        refuse_kind(path, first)
        raise RecordsError(f"{path}: is not packed by gzip: take .gz off its name, or pack it")
    return gzip.open(path, "rb")


def beginning(path: Path, size: int = 4096) -> bytes:
    """The first bytes without UTF-8's mark. Raises RecordsError where they show another kind of file."""
    with open_binary(path) as file:
        first = file.read(size)
    refuse_kind(path, first)
    return first.removeprefix(BOM)


def refuse_kind(path: Path, first: bytes) -> None:
    """Raise RecordsError, with the cure, where a file begins as no text in UTF-8 does."""
    for mark, sentence in BEGINNINGS:
        if first[: len(mark)].lower() == mark.lower():
            raise RecordsError(f"{path}: {sentence}")
    zeros = [place for place, byte in enumerate(first[:64]) if byte == 0]
    if len(zeros) >= max(2, len(first[:64]) // 4) and len({place % 2 for place in zeros}) == 1:
        raise RecordsError(
            f"{path}: is text in UTF-16 without its mark: save it as UTF-8 (iconv -f UTF-16LE -t UTF-8)"
        )


def not_utf8(error: UnicodeDecodeError) -> str:
    """Why bytes are no UTF-8, with the one at fault and the cure."""
    return f"not UTF-8 (byte {error.object[error.start]:#04x} at {error.start + 1}): {LEGACY}"


def too_large(what: str) -> str:
    """Why a row or line of more than LARGEST_ROW is not read."""
    return f"{what} of more than {LARGEST_ROW // MEGABYTE} MiB, the most that is read: split or shorten it"


def sized(row: Row) -> Row | str:
    """The row, or why it is not read."""
    return too_large("a row") if _characters(row) > LARGEST_ROW else row


def numbered(rows: Iterable[Row], name: str) -> Iterator[Placed]:
    """Rows with their index as place."""
    for number, row in enumerate(rows):
        yield f"{name}[{number}]", sized(row)


def refuse_repeated(place: str, columns: Iterable[str]) -> None:
    """Raise RecordsError where two columns have one name: a row could hold one of them only."""
    repeated = [name for name, times in Counter(columns).items() if name and times > 1]
    if repeated:
        raise RecordsError(f"{place} names the column {repeated[0]!r} twice: rename one of them")


def _characters(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(item) for pair in value.items() for item in pair)
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 1
