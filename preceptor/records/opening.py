"""A file opened for reading: only a regular one, and only one that holds what its name promises."""

import gzip
from io import BufferedReader
from pathlib import Path

from preceptor.paths import path_problem
from preceptor.records.row import RecordsError

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
