"""Which paths a store can have, and PyArrow's client for S3.

delta-rs turns every path into a URL, and some URLs point to another place than the path.

Tested with deltalake 1.6.6: it decodes percent escapes in the path of the log, but not in the path of the
data. `#` and `?` end the path of an S3 object. Brackets and similar characters make it panic. Blanks, quotes,
other alphabets and a bare `%` work.
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
    """A path that cannot hold tables. The message names the unusable part."""


def absolute(root: str) -> str:
    """The store's location: a local folder's absolute path, or an S3 prefix. Raises PlaceError."""
    if "://" in root:
        if not root.startswith("s3://"):
            raise PlaceError(f"{root}: a store must be a local folder or an s3:// prefix")
        place = root.rstrip("/")
        _refuse(place, UNUSABLE_REMOTE)
        return place
    try:
        path = Path(root).expanduser().absolute()
    except RuntimeError as error:
        raise PlaceError(f"{root}: the user after ~ does not exist") from error
    # In a URL `..` drops the name before it. Behind a symbolic link, the disk's `..` is another folder.
    place = "/" + str(path.resolve() if ".." in path.parts else path).lstrip("/")
    _refuse(place, UNUSABLE)
    return place


def object_key(uri: str) -> str:
    """The bucket and path of an S3 object, as PyArrow expects them. A local path stays unchanged."""
    return uri.removeprefix("s3://")


def s3_filesystem(options: Mapping[str, str]) -> "S3FileSystem":
    """An S3 client with the same settings as delta-rs: the AWS_* variables.

    Without access keys it uses AWS's default credential chain.
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
            f"{place!r}: the path of a store becomes part of a URL and cannot contain {found[0]!r}: set"
            " PRECEPTOR_STORE to a path without it"
        )
