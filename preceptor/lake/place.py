"""Where a store can lie, and S3 as PyArrow reads and writes it.

delta-rs makes a URL of every path, and that is not always the same place.

Tried with deltalake 1.6.6: what looks like a percent escape is decoded on the way to the log and not on the
way to the data; of an object's key `#` and `?` end the path; brackets and their like make it panic. Blanks,
quotes, other alphabets and a bare `%` come back as they went in.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

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


def object_key(uri: str) -> str:
    """Bucket and path, as PyArrow names an object; a local path as it is."""
    return uri.removeprefix("s3://")


def s3_filesystem(options: Mapping[str, str]) -> "S3FileSystem":
    """A client under the settings that delta-rs has: the AWS_* variables.

    Without keys among them AWS's own chain of credentials is asked.
    """
    from pyarrow.fs import S3FileSystem

    endpoint = urlsplit(options.get("AWS_ENDPOINT_URL") or options.get("AWS_ENDPOINT") or "")
    return S3FileSystem(
        access_key=options.get("AWS_ACCESS_KEY_ID"),
        secret_key=options.get("AWS_SECRET_ACCESS_KEY"),
        session_token=options.get("AWS_SESSION_TOKEN"),
        region=options.get("AWS_REGION") or options.get("AWS_DEFAULT_REGION"),
        endpoint_override=endpoint.netloc + endpoint.path.rstrip("/") or None,
        scheme=endpoint.scheme or "https",
    )


def _refuse(place: str, unusable: str) -> None:
    found = re.search(unusable, place)
    if found:
        raise PlaceError(
            f"{place!r}: no {found[0]!r} can be in the path of a store, which becomes part of a URL: set"
            " PRECEPTOR_STORE to a path without it"
        )
