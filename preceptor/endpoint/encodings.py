"""Finds an API key in a text: in plain, escaped, base64 or hexadecimal form, also nested in one another.

Line breaks, invisible characters and full-width letters inside the key do not hide it. Encodings that no
server uses when it quotes a header are not searched: base32, base85, UTF-16 in base64, another letter case,
compression, encryption.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from preceptor.endpoint.escapes import LEADS, Escapes, Origins

Span = tuple[int, int]
Layers = tuple[Origins, ...]
DEPTH = 3  # nested encodings
KINDS = "\\%&="  # the first characters of the kinds of escapes
BASE64 = re.compile(r"[A-Za-z0-9+/_-]")
DIGIT = re.compile(r"[0-9A-Fa-f]")
PREFIXED = (  # 0x may be a prefix, or the last digit of a byte followed by a letter
    re.compile(r"0[xX]|([0-9A-Fa-f])"),
    re.compile(r"(?<![0-9A-Fa-f])0[xX]|([0-9A-Fa-f])"),
)
WEB_SAFE = bytes.maketrans(b"-_", b"+/")
NOT_BASE64 = bytes(n for n in range(256) if not BASE64.match(chr(n)))
NOT_HEXADECIMAL = bytes(n for n in range(256) if chr(n) not in "0123456789ABCDEFabcdef")
BREAKS = re.compile(  # NUL as in UTF-16, and what HTML, typesetting or terminals insert into long words
    "(?:[\0\xad\u034f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
    r"|[ \t]*[\r\n][ \t]*|<wbr ?/?>|&(?:#8203|#[xX]200[bB]|ZeroWidthSpace|#173|#[xX][aA][dD]|shy);"
    r"|\\{1,4}u(?:200[b-fB-F]|00[aA][dD]|2060|[fF][eE][fF][fF]))+"
)
WIDE = {0xFEE0 + n: n for n in range(0x21, 0x7F)}  # full-width forms
PRINTABLE = bytes(n in b"\t\n\r" or 0x20 <= n <= 0x7E for n in range(256))  # 1 or 0 for each byte


@dataclass(frozen=True)
class _Block:
    """Text decoded from base64 or hexadecimal digits of a view; `back` maps a span to the view."""

    text: str
    back: Callable[[int, int], Span]


def traces(text: str, key: str, depth: int = DEPTH) -> list[Span]:
    """(start, end) of every part of the text that decodes to the key. Spans may overlap.

    The key is also found in base64 or hexadecimal digits that are split by line breaks, blanks or
    punctuation, and behind other text in the same block.
    """
    if len(text) < len(key):  # no encoding is shorter than what it encodes
        return []
    leads = LEADS if " " in key else LEADS.replace("+", "")  # in a URL '+' is a blank
    escapes = Escapes(text, leads)
    found = escapes.spelled(key)
    joined, origins = _joined(text)
    if joined != text:
        again = Escapes(joined, leads).spelled(key)
        found += [(origins.begin(start), origins.begin(end - 1) + 1) for start, end in again]
    if depth > 0:
        for view, layers in _views(text, escapes).items():
            for block in _blocks(view, len(key)):
                within = [block.back(*span) for span in traces(block.text, key, depth - 1)]
                found += [(_begin(layers, start), _begin(layers, end)) for start, end in within]
    return found


def without(text: str, key: str, instead: str) -> str:
    """The text with every trace of the key replaced, including traces that a replacement creates."""
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


def _joined(text: str) -> tuple[str, Origins]:
    """The text without line breaks and invisible characters inside words, and with plain wide letters."""
    parts: list[str] = []
    origins = Origins([0], [0])
    place = length = 0  # of the text, of the result
    for broken in BREAKS.finditer(text):
        parts.append(text[place : broken.start()])
        length += broken.start() - place
        place = broken.end()
        origins.places.append(length)
        origins.begins.append(place)
    joined = "".join([*parts, text[place:]]) if parts else text
    return joined if joined.isascii() else joined.translate(WIDE), origins


def _views(text: str, escapes: Escapes) -> dict[str, Layers]:
    """The text, and the text with its escapes undone: all kinds at once, or one kind after another.

    Each view comes with its layers, which map its characters back to the text.
    """
    views: dict[str, Layers] = {text: ()}
    latest = views
    for _ in range(DEPTH):
        found = [
            (Escapes(view, kind, once=True).undone(), layers)
            for view, layers in latest.items()
            for kind in KINDS
            if kind in view
        ]
        latest = {view: (origins, *layers) for (view, origins), layers in found if view not in views}
        views = views | latest
    view, origins = escapes.undone()
    return {view: (origins,)} | views


def _begin(layers: Layers, place: int) -> int:
    for origins in layers:
        place = origins.begin(place)
    return place


def _blocks(view: str, shortest: int) -> Iterator[_Block]:
    yield from _base64(view, shortest)
    yield from _hexadecimal(view, shortest)
    yield from _numbers(view, shortest)


def _base64(view: str, shortest: int) -> Iterator[_Block]:
    """Decode from each of the first four characters, because a block may begin at any of them."""
    letters = view.encode("ascii", "replace").translate(WEB_SAFE, NOT_BASE64)
    for skipped in range(4):
        stream = letters[skipped:]
        whole = stream[: len(stream) - (len(stream) % 4 == 1)]
        data = binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))

        def back(start: int, end: int, skipped: int = skipped) -> Span:
            first, last = skipped + 4 * start // 3, skipped + -(-4 * end // 3)
            begin, stop = _place(view, BASE64, first, last)
            padding = re.compile("=*").match(view, stop)
            return begin, padding.end() if padding else stop

        yield from _printable(data, shortest, back)


def _hexadecimal(view: str, shortest: int) -> Iterator[_Block]:
    yield from _digits(
        view, view.encode("ascii", "replace").translate(None, NOT_HEXADECIMAL), DIGIT, shortest
    )
    if "0x" in view or "0X" in view:
        for digit in PREFIXED:
            yield from _digits(view, "".join(digit.findall(view)).encode(), digit, shortest)


def _digits(view: str, digits: bytes, digit: re.Pattern[str], shortest: int) -> Iterator[_Block]:
    """Decode hexadecimal digits from each of the first two on; `digit` finds them in the view."""
    for skipped in range(2):
        stream = digits[skipped:]
        data = binascii.unhexlify(stream[: len(stream) - len(stream) % 2])

        def back(start: int, end: int, skipped: int = skipped) -> Span:
            return _place(view, digit, skipped + 2 * start, skipped + 2 * end)

        yield from _printable(data, shortest, back)


def _numbers(view: str, shortest: int) -> Iterator[_Block]:
    """Lists of byte values in decimal digits, as programs print them."""
    for listed in re.finditer(rf"\d{{1,3}}(?:[,;\s]{{1,9}}\d{{1,3}}){{{shortest - 1},}}", view, re.ASCII):
        spans = [number.span() for number in re.compile(r"\d+").finditer(view, *listed.span())]
        codes = [int(view[start:end]) for start, end in spans]

        def back(start: int, end: int, spans: list[Span] = spans) -> Span:
            return spans[start][0], spans[end - 1][1]

        yield _Block("".join(chr(code) if 0 < code < 256 else "\1" for code in codes), back)


def _printable(data: bytes, shortest: int, back: Callable[[int, int], Span]) -> Iterator[_Block]:
    """The printable ASCII stretches, which alone can contain a key. They are rare in random bytes."""
    if b"\1" * shortest not in data.translate(PRINTABLE):  # far faster than the pattern
        return
    pattern = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % shortest)
    for found in pattern.finditer(data):
        start = found.start()
        yield _Block(
            found.group().decode("ascii"),
            lambda a, b, start=start: back(start + a, start + b),  # type: ignore[misc]
        )


def _place(view: str, letter: re.Pattern[str], first: int, last: int) -> Span:
    """The span from the letter at index `first` to the one before index `last`."""
    places = [n.start() for n in letter.finditer(view) if n.lastindex or not letter.groups]
    return places[first], places[min(last, len(places)) - 1] + 1
