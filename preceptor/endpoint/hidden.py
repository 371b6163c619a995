"""Removes the API key from everything that is kept of a reply, because an endpoint may repeat it.

The search covers decoded forms, so that `\\/`, `\\u002b`, `%2B`, `&#47;` and base64 do not hide the key.
"""

import os
from itertools import pairwise
from typing import Any

from preceptor.endpoint.encodings import traces, without
from preceptor.study.endpoint import SHORTEST_KEY, Endpoint

INSTEAD = "[key]"
BYTES = range(256)


def without_key(text: str, endpoint: Endpoint) -> str:
    """The text with the endpoint's key replaced, in any encoding."""
    key = _key(endpoint)
    return text if len(key) < SHORTEST_KEY else without(text, key, INSTEAD)


def data_without_key(data: Any, endpoint: Endpoint) -> Any:
    """JSON data with the key replaced in texts, names, lists of bytes, and texts of a list read in sequence.

    Raises RecursionError for data that is nested too deeply.
    """
    key = _key(endpoint)
    return data if len(key) < SHORTEST_KEY else _hide(data, key)


def _key(endpoint: Endpoint) -> str:
    return os.environ.get(endpoint.api_key_variable, "").strip()


def _hide(data: Any, key: str) -> Any:
    match data:
        case str():
            return without(data, key, INSTEAD)
        case dict():
            return {without(name, key, INSTEAD): _hide(value, key) for name, value in data.items()}
        case list() if _are_bytes(data):
            return [] if traces(bytes(data).decode("latin-1"), key) else data
        case list():
            items = [_hide(item, key) for item in data]
            spelled = _spelled(items, key)
            return [_instead_of(item) if n in spelled else item for n, item in enumerate(items)]
    return data


def _instead_of(item: Any) -> Any:
    return {"token": INSTEAD} if isinstance(item, dict) else INSTEAD


def _are_bytes(items: list[Any]) -> bool:
    return all(type(item) is int and item in BYTES for item in items)


def _spelled(items: list[Any], key: str) -> set[int]:
    """Indices of items that together spell the key: texts, or tokens of an answer with their bytes."""
    texts = [_text(item) for item in items]
    codes = [_codes(item) for item in items]
    return _within(texts, key) | _within(codes, key)


def _text(item: Any) -> str:
    token = item.get("token") if isinstance(item, dict) else item
    return token if isinstance(token, str) else ""


def _codes(item: Any) -> str:
    codes = item.get("bytes") if isinstance(item, dict) else None
    return bytes(codes).decode("latin-1") if isinstance(codes, list) and _are_bytes(codes) else ""


def _within(texts: list[str], key: str) -> set[int]:
    """Indices of the texts that contain a part of the key when all are joined."""
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    spans = traces("".join(texts), key)
    return {
        n
        for n, (start, end) in enumerate(pairwise(ends))
        if any(start < last and first < end for first, last in spans)
    }
