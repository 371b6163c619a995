"""An endpoint may repeat the key that it was sent: it is taken out of whatever is kept of a reply."""

import os

from preceptor.study.endpoint import Endpoint

SHORTEST = 8  # characters; a shorter one is no secret, and would tear words apart
INSTEAD = "[key]"


def without_key(text: str, endpoint: Endpoint) -> str:
    """The text with the endpoint's key replaced."""
    key = os.environ.get(endpoint.api_key_variable, "").strip()
    return text if len(key) < SHORTEST else text.replace(key, INSTEAD)
