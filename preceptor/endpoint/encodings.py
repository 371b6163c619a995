"""Where a key lies in a text: as it is, escaped, in base64, in hexadecimal digits, or one in another."""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from preceptor.endpoint.escapes import Escapes

Span = tuple[int, int]
DEPTH = 3  # encodings in one another
KINDS = "\\%&="  # of escapes, by what they begin with
BASE64 = re.compile(r"[A-Za-z0-9+/_-]")
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_-]+")
HEXADECIMAL = re.compile(r"0[xX]|([0-9A-Fa-f])")
NOT_HEXADECIMAL = re.compile(r"0[xX]|[^0-9A-Fa-f]+")
WEB_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class _Block:
    """Text that a view holds in base64 or hexadecimal digits; `back` gives its place in the view."""

    text: str
    back: Callable[[int, int], Span]


def traces(text: str, key: str, depth: int = DEPTH) -> list[Span]:
    """(start, end) of everything in the text that can be read as the key; two of them may overlap.

    Line breaks, blanks and marks between the characters of base64 or hexadecimal digits do not hide it, nor
    does what stands before it in the same block.
    """
    if len(text) < len(key):  # no encoding is shorter than what it encodes
        return []
    escapes = Escapes(text)
    found = escapes.spelled(key)
    if depth > 0:
        for view, begins in _views(text, escapes).items():
            for block in _blocks(view, len(key)):
                within = [block.back(*span) for span in traces(block.text, key, depth - 1)]
                found += [(begins[start], begins[end]) for start, end in within]
    return found


def without(text: str, key: str, instead: str) -> str:
    """The text with every trace of the key replaced, also of a key that only a replacement makes."""
    while spans := _merged(traces(text, key)):
        for start, end in reversed(spans):
            text = text[:start] + instead + text[end:]
    return text


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _views(text: str, escapes: Escapes) -> dict[str, list[int]]:
    """The text, and what it is without its escapes: all at once, or one kind after another.

    In each view, where in the text its characters begin.
    """
    views = latest = {text: list(range(len(text) + 1))}
    for _ in range(DEPTH):
        found = [
            (Escapes(view, kind, once=True).undone(), begins)
            for view, begins in latest.items()
            for kind in KINDS
        ]
        latest = {
            view: [begins[place] for place in places] for (view, places), begins in found if view not in views
        }
        views = views | latest
    return dict([escapes.undone()]) | views


def _blocks(view: str, shortest: int) -> Iterator[_Block]:
    yield from _base64(view, shortest)
    yield from _hexadecimal(view, shortest)


def _base64(view: str, shortest: int) -> Iterator[_Block]:
    """Read from each of four characters on: a block may begin anywhere in what looks like one."""
    letters = NOT_BASE64.sub("", view).translate(WEB_SAFE)
    for skipped in range(4):
        stream = letters[skipped:]
        whole = stream[: len(stream) - (len(stream) % 4 == 1)]
        data = base64.b64decode(whole + "=" * (-len(whole) % 4))

        def back(start: int, end: int, skipped: int = skipped) -> Span:
            first, last = skipped + 4 * start // 3, skipped + -(-4 * end // 3)
            begin, stop = _place(view, BASE64, first, last)
            padding = re.compile("=*").match(view, stop)
            return begin, padding.end() if padding else stop

        yield from _printable(data, shortest, back)


def _hexadecimal(view: str, shortest: int) -> Iterator[_Block]:
    digits = NOT_HEXADECIMAL.sub("", view)
    for skipped in range(2):
        stream = digits[skipped:]
        data = bytes.fromhex(stream[: len(stream) - len(stream) % 2])

        def back(start: int, end: int, skipped: int = skipped) -> Span:
            return _place(view, HEXADECIMAL, skipped + 2 * start, skipped + 2 * end)

        yield from _printable(data, shortest, back)


def _printable(data: bytes, shortest: int, back: Callable[[int, int], Span]) -> Iterator[_Block]:
    """The stretches that can hold a key, which is printable ASCII: chance makes few of them."""
    pattern = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % shortest)
    for found in pattern.finditer(data):
        start = found.start()
        yield _Block(
            found.group().decode("ascii"),
            lambda a, b, start=start: back(start + a, start + b),  # type: ignore[misc]
        )


def _place(view: str, letter: re.Pattern[str], first: int, last: int) -> Span:
    """Where letters number `first` up to `last` of a view stand."""
    places = [n.start() for n in letter.finditer(view) if n.lastindex or not letter.groups]
    return places[first], places[min(last, len(places)) - 1] + 1
