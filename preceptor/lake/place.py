"""Which places a store can have. delta-rs makes a URL of every path, and that is not always the same place.

Tried with deltalake 1.6.6: what looks like a percent escape is decoded on the way to the log and not on the
way to the data; of an object's key `#` and `?` end the path; brackets and their like make it panic. Blanks,
quotes, other alphabets and a bare `%` come back as they went in.
"""

import re
from pathlib import Path

ESCAPE = r"%[0-9A-Fa-f]{2}"
UNUSABLE = rf"{ESCAPE}|[\[\]|^\\\x00-\x1f\x7f]"
UNUSABLE_REMOTE = rf"{UNUSABLE}|[#?]|(?<!:)//|(?<=/)\.{{1,2}}(?=/|$)"


class PlaceError(ValueError):
    """A place that tables cannot lie in; its text says what is in its way."""


def absolute(root: str) -> str:
    """Where a store lies: a local folder's absolute path, or an S3 prefix. Raises PlaceError."""
    if "://" in root:
        if not root.startswith("s3://"):
            raise PlaceError(f"{root}: a store is a local folder or lies under s3://")
        place = root.rstrip("/")
        _refuse(place, UNUSABLE_REMOTE)
        return place
    try:
        path = Path(root).expanduser().absolute()
    except RuntimeError as error:
        raise PlaceError(f"{root}: there is no such user, whose home it could lie in") from error
    # A URL takes `..` for the folder before, which behind a link is not the one that the disk takes it for.
    place = "/" + str(path.resolve() if ".." in path.parts else path).lstrip("/")
    _refuse(place, UNUSABLE)
    return place


def _refuse(place: str, unusable: str) -> None:
    found = re.search(unusable, place)
    if found:
        raise PlaceError(
            f"{place!r}: no {found[0]!r} can be in the path of a store, which becomes part of a URL: set"
            " PRECEPTOR_STORE to a path without it"
        )
