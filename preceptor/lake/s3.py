"""S3 as PyArrow reads and writes it, under the settings that delta-rs has: the AWS_* variables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem


def object_key(uri: str) -> str:
    """Bucket and path, as PyArrow names an object; a local path as it is."""
    return uri.removeprefix("s3://")


def s3_filesystem(options: Mapping[str, str]) -> "S3FileSystem":
    """A client for these settings; without keys among them AWS's own chain of credentials is asked."""
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
