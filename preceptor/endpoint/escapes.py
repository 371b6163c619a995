"""Decodes escapes of JSON, Python, URLs, HTML and mail, alone or nested, in every possible way.

`\\/`, `\\u002b`, `\\x2B`, `%2B`, `&#43;`, `&plus;` and `=2B` each stand for one character. Their own
characters may be escaped again, in the same way or another (`%252B`, `\\\\u002b`, `&amp;#43;`).
"""

import functools
import re
import string
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from html.entities import html5

LEADS = "\\%&+="  # the first characters of escapes; in a URL '+' is a blank
MOST = 24  # readings of one place: enough for four nested levels of escapes
CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
KEPT = frozenset(string.printable)
HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
DECIMAL = frozenset("0123456789")
OCTAL = frozenset("01234567")
NAMES = {name: char for name, char in html5.items() if len(char) == 1 and char.isascii()}
BEGINNINGS = {name[:length] for name in NAMES for length in range(len(name) + 1)}
Reading = tuple[str, int]  # a character, and the place after it


@dataclass(frozen=True)
class Origins:
    """Maps places in a decoded text to the original. Each of `places` has its original in `begins`."""

    places: list[int]
    begins: list[int]

    def begin(self, place: int) -> int:
        """The original place of the character at `place`, or of the end."""
        number = bisect_right(self.places, place) - 1
        return self.begins[number] + place - self.places[number]


@functools.cache
def _may_begin(leads: str, once: bool) -> re.Pattern[str]:
    """A fast pattern for places where an escape may begin, by the character after the lead.

    That character may itself be escaped, unless `once`. The pattern misses no escape.
    """
    nested = "" if once else re.escape(LEADS)
    hexadecimal = rf"[0-9A-Fa-f][0-9A-Fa-f{nested}]"
    behind = {
        "\\": r"[^89A-TV-Za-mo-qsvwyz]",  # of letters and digits, only x u U n r t and octal digits
        "%": rf"{hexadecimal}|[u{nested}]",
        "=": rf"{hexadecimal}|[\r\n{nested}]",
        "&": rf"[#A-Za-z{nested}]",
        "+": "",
    }
    return re.compile("|".join(f"{re.escape(lead)}(?={behind[lead]})" for lead in leads), re.DOTALL)


class Escapes:
    """A text in which each place may be read in up to MOST ways.

    `leads` selects the kinds of escapes to decode. With `once`, nested escapes are decoded by one level
    only, as a program would. Time is linear in the text's length for any text.
    """

    def __init__(self, text: str, leads: str = LEADS, once: bool = False) -> None:
        self.text = text
        self.leads = re.compile(f"[{re.escape(leads)}]")
        self._read: dict[int, list[Reading]] = {}
        may = _may_begin(leads, once)
        places = [found.start() for found in may.finditer(text)]
        if once:
            self._read = {n: [(text[n], n + 1), *self._undone(text[n], n + 1)] for n in places}
            return
        for place in reversed(places):  # from the end: an escape's own characters may be escaped
            self._read[place] = self._readings(place)

    def spelled(self, word: str) -> list[tuple[int, int]]:
        """(start, end) of every place where the word can be read. Spans may overlap."""
        if not any(len(readings) > 1 for readings in self._read.values()):
            return [
                (n.start(), n.start() + len(word)) for n in re.finditer(f"(?={re.escape(word)})", self.text)
            ]
        begins = re.compile(f"{re.escape(word[0])}|{self.leads.pattern}")
        places = [found.start() for found in begins.finditer(self.text)]
        ends = [self._end(place, word) for place in places]
        return [(place, end) for place, end in zip(places, ends, strict=True) if end is not None]

    def undone(self) -> tuple[str, "Origins"]:
        """The text with every escape decoded as deeply as possible, and the origins of its characters."""
        parts: list[str] = []
        origins = Origins([0], [0])
        place = length = 0  # of the text, of the result
        for lead in sorted(self._read):
            if lead < place or len(self._read[lead]) == 1:
                continue
            char, end = max(self._read[lead], key=self._depth)
            if end == lead + 1 and char == self.text[lead]:
                continue
            parts += self.text[place:lead], char
            length += lead - place + 1
            place = end
            origins.places.append(length)
            origins.begins.append(end)
        return ("".join([*parts, self.text[place:]]) if parts else self.text), origins

    def _depth(self, reading: Reading) -> tuple[int, bool, bool]:
        char, end = reading  # at equal depth prefer base64's characters: a letter, '+' rather than a blank
        return end, char.isalnum(), not char.isspace()

    def _end(self, place: int, word: str) -> int | None:
        ends = {place}
        for char in word:
            ends = {end for start in ends for read, end in self._at(start) if read == char}
            if not ends:
                return None
        return max(ends)

    def _at(self, place: int) -> list[Reading]:
        if place in self._read:
            return self._read[place]
        return [(self.text[place], place + 1)] if place < len(self.text) else []

    def _readings(self, place: int) -> list[Reading]:
        readings = [(self.text[place], place + 1)]
        for reading in readings:  # the list grows in the loop: a decoded character may begin an escape
            for new in self._undone(*reading):
                if new not in readings:
                    readings.append(new)
                if len(readings) == MOST:
                    return readings
        return readings

    def _undone(self, lead: str, place: int) -> Iterator[Reading]:
        """The characters of escapes that begin with `lead` and continue at `place`."""
        match lead:
            case "\\":
                yield from self._behind_backslash(place)
            case "%":
                yield from self._number(place, 2)
                for char, end in self._at(place):
                    if char == "u":
                        yield from self._number(end, 4)
            case "=":
                yield from self._number(place, 2)
                yield from self._behind_line_break(place)
            case "&":
                yield from self._entity(place)
            case "+":
                yield " ", place

    def _behind_backslash(self, place: int) -> Iterator[Reading]:
        octal = [*self._number(place, 3, OCTAL, 8)] or self._number(place, 2, OCTAL, 8)
        yield from octal
        yield from self._behind_line_break(place)
        for char, end in self._at(place):
            if char == "x":
                yield from self._number(end, 2)
            elif char in "uU":
                yield from self._number(end, 4 if char == "u" else 8)
                yield from self._in_braces(end)
            elif char in CONTROLS:
                yield CONTROLS[char], end
            elif not char.isalnum():
                yield char, end

    def _behind_line_break(self, place: int) -> Iterator[Reading]:
        """Skip an escaped line break, which mail and programs use to wrap long lines."""
        for char, end in self._at(place):
            if char == "\r":
                yield from (at for feed, last in self._at(end) if feed == "\n" for at in self._at(last))
            elif char == "\n":
                yield from self._at(end)

    def _in_braces(self, place: int) -> Iterator[Reading]:
        for brace, start in self._at(place):
            if brace == "{":
                for length in range(1, 7):
                    for char, end in self._number(start, length):
                        yield from ((char, last) for closing, last in self._at(end) if closing == "}")

    def _entity(self, place: int) -> Iterator[Reading]:
        yield from self._named(place)
        for hash_sign, start in self._at(place):
            if hash_sign != "#":
                continue
            yield from self._reference(start, DECIMAL, 10)
            for char, end in self._at(start):
                if char in "xX":
                    yield from self._reference(end, HEXADECIMAL, 16)

    def _named(self, place: int) -> Iterator[Reading]:
        begun = [("", place)]
        while begun:
            read = [(name + char, end) for name, start in begun for char, end in self._at(start)]
            begun = [(name, end) for name, end in read if name in BEGINNINGS]
            yield from ((NAMES[name], end) for name, end in begun if name in NAMES)

    def _reference(self, place: int, digits: frozenset[str], base: int) -> Iterator[Reading]:
        """A number of any length, with the ';' after it if there is one."""
        for length in range(8, 0, -1):
            for char, end in self._number(place, length, digits, base):
                closed = [last for closing, last in self._at(end) if closing == ";"]
                if closed or self.text[end : end + 1] not in digits:
                    yield char, max(closed, default=end)

    def _number(
        self, place: int, length: int, digits: frozenset[str] = HEXADECIMAL, base: int = 16
    ) -> Iterator[Reading]:
        """The ASCII characters of numbers with `length` digits."""
        for written, end in self._digits(place, length, digits):
            value = int(written, base)
            if value < 128 and chr(value) in KEPT:
                yield chr(value), end

    def _digits(self, place: int, length: int, digits: frozenset[str]) -> Iterator[tuple[str, int]]:
        if length == 0:
            yield "", place
            return
        for char, end in self._at(place):
            if char in digits:
                for rest, last in self._digits(end, length - 1, digits):
                    yield char + rest, last
