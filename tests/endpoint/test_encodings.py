"""A key is found in every encoding and any text, and nothing else is removed. Other decoders verify it."""

import ast
import base64
import binascii
import html
import json
import quopri
import re
import string
import warnings
from collections.abc import Callable
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preceptor.endpoint import escapes
from preceptor.endpoint.encodings import KINDS, _base64, _hexadecimal, traces, without
from preceptor.endpoint.escapes import LEADS, Escapes

KEY = "sk-/Pl+nted_Key=1&2%3\\4\"5'6"
PRINTABLE = "".join(chr(n) for n in range(32, 127))
keys = st.text(PRINTABLE, min_size=8, max_size=40).map(str.strip).filter(lambda key: len(key) >= 8)


def each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(char)) for char in text)


def folded(text: str) -> str:
    """Base64 as mail has it, in lines."""
    return base64.encodebytes(text.encode() * 3).decode()


ENCODINGS = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, slashes too": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, all of it": each("\\u{:04x}"),
    "JSON in capitals": each("\\u{:04X}"),
    "JSON, marks only": lambda text: re.sub(r"\W", lambda m: f"\\u{ord(m[0]):04x}", text),
    "repr": lambda text: repr(text)[1:-1],
    "Python": each("\\x{:02x}"),
    "JavaScript": each("\\u{{{:x}}}"),
    "octal": each("\\{:03o}"),
    "URL": lambda text: quote(text, safe=""),
    "URL in small letters": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text, safe="")),
    "URL, all of it": each("%{:02X}"),
    "form": lambda text: quote(text, safe=" ").replace(" ", "+"),
    "HTML": html.escape,
    "HTML, decimal": each("&#{};"),
    "HTML, hexadecimal": each("&#x{:X};"),
    "HTML, with zeros": each("&#{:05};"),
    "HTML, names": lambda text: text.replace("&", "&amp;").replace("/", "&sol;").replace("+", "&plus;"),
    "mail": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs, unpadded": lambda text: base64.urlsafe_b64encode(text.encode()).decode().strip("="),
    "base64 behind a word": lambda text: base64.b64encode(f"Bearer {text}".encode()).decode(),
    "base64 in lines": folded,
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex(" ").upper(),
    "bytes": lambda text: ", ".join(f"0x{ord(char):02x}" for char in text),
}
encodings = st.lists(st.sampled_from(sorted(ENCODINGS)), min_size=1, max_size=3)
around = st.text(st.sampled_from(PRINTABLE + "\n\x00é漢🙂\u2028"), max_size=30)


def by_bytes(pattern: str, decode: Callable[[str], bytes]) -> Callable[[str], list[str]]:
    """Every match of the pattern, decoded from each of its first four characters."""

    def decoded(text: str) -> list[str]:
        found = []
        for stretch in re.findall(pattern, text):
            for skipped in range(4):
                try:
                    found.append(decode(stretch[skipped:]).decode("latin-1"))
                except (ValueError, binascii.Error):
                    continue
        return found

    return decoded


def by_text(decode: Callable[[str], str]) -> Callable[[str], list[str]]:
    def decoded(text: str) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's warnings about unknown escapes
            try:
                return [decode(text)]
            except (ValueError, SyntaxError):
                return []

    return decoded


DECODERS = [
    by_text(unquote),
    by_text(unquote_plus),
    by_text(html.unescape),
    by_text(lambda text: json.loads(f'"{text}"', strict=False)),
    by_text(lambda text: ast.literal_eval(f'"""{text} """')),
    by_text(lambda text: quopri.decodestring(text.encode("latin-1")).decode("latin-1")),
    by_bytes(r"[A-Za-z0-9+/_-]{8,}={0,2}", lambda s: base64.urlsafe_b64decode(s.replace("=", "") + "===")),
    by_bytes(r"[0-9A-Fa-f]{16,}", lambda s: bytes.fromhex(s[: len(s) // 2 * 2])),
]


def readings(text: str, depth: int = 2) -> set[str]:
    """The text, and everything that these decoders make of it, also nested."""
    found = {text}
    for _ in range(depth):
        found |= {decoded for reading in found for decode in DECODERS for decoded in decode(reading)}
    return found


def encoded(key: str, names: list[str]) -> str:
    for name in names:
        key = ENCODINGS[name](key)
    return key


@given(keys, encodings, around, around)
@example("]b[key]a]", ["as it is"], "]b", "a]")
@example("aaaaaaaa", ["as it is"], "aaaa", "aaa")
@example("%2B%2B%2B", ["URL"], "%25", "2B")
@example("00000000", ["hexadecimal"], "00000000", "X")
@example("00000000", ["bytes"], "", "X")
def test_no_decoding_of_the_cleaned_text_contains_the_key(key, names, before, after):
    text = before + encoded(key, names) + after
    kept = without(text, key, "[key]")
    assert "[key]" in kept
    assert traces(kept, key) == []
    assert not any(key in reading for reading in readings(kept))


@pytest.mark.parametrize("first", ENCODINGS)
def test_only_the_key_is_removed(first):
    for last in ENCODINGS:
        kept = without(f"Was ({encoded(KEY, [first, last])}) the key?", KEY, "[key]")
        assert kept.startswith("Was (") and kept.endswith(") the key?") and "[key]" in kept, last


@given(st.lists(st.one_of(around, st.builds(encoded, around, encodings)), max_size=4).map("".join))
@example(r"\frac{a}{b} 50% of \u0041 &amp; &#43; c2stUGxhbnRlZA== 736b2d2f=2B")
@example(encoded(KEY[:-1], ["JSON", "base64"]) + encoded(KEY[1:], ["URL"]))
def test_a_text_without_the_key_is_unchanged(text):
    assert without(text, KEY, "[key]") == text


BROKEN = {
    "zero-width": "\u200b".join,
    "a word joiner": lambda key: f"{key[:9]}\u2060{key[9:]}",
    "a soft hyphen": lambda key: f"{key[:9]}\xad{key[9:]}",
    "a byte order mark": lambda key: f"{key[:9]}\ufeff{key[9:]}",
    "UTF-16 read as Latin-1": lambda key: key.encode("utf-16-le").decode("latin-1"),
    "HTML's hyphen": lambda key: f"{key[:9]}&shy;{key[9:]}",
    "two lines": lambda key: f"{key[:9]}\n{key[9:]}",
    "indented lines": lambda key: f"{key[:5]}  \r\n    {key[5:9]}\n    {key[9:]}",
    "HTML's breaks": lambda key: f"{key[:9]}<wbr>{key[9:]}",
    "wide letters": lambda key: "".join(chr(ord(char) + 0xFEE0) if char != " " else char for char in key),
}


@pytest.mark.parametrize("first", ["as it is", "JSON, marks only", "URL", "HTML, decimal"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_key_with_characters_inserted_is_found(first, broken):
    """The characters are inserted into the plain key or into the escaped one."""
    written = BROKEN[broken](KEY if first == "as it is" else ENCODINGS[first](KEY))
    kept = without(f"Was\n({written})\nthe key?", KEY, "[key]")
    assert kept.replace("\0", "") == "Was\n([key])\nthe key?"


@pytest.mark.parametrize(
    "written",
    [
        f"{KEY[:9]}\\u200b{KEY[9:]}",
        " ".join(str(ord(char)) for char in KEY),  # as Go prints bytes
        ", ".join(str(ord(char)) for char in KEY),
        ",\n ".join(str(ord(char)) for char in base64.b64encode(KEY.encode()).decode()),
    ],
)
def test_a_key_is_found_as_programs_print_it(written):
    assert without(f"Was [{written}] the key of 1, 2, 300?", KEY, "key") == "Was [key] the key of 1, 2, 300?"


def matches_everywhere(leads: str, once: bool) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(leads)}]")


@given(st.lists(st.one_of(around, st.builds(encoded, keys, encodings), st.sampled_from(LEADS)), max_size=9))
@example(["\\", "u{2b}\\8\\x2B\\12", "%", "u002b%2", "&", "#43&#x2b", "=", "\r\n", "=\n", "\\", "\n"])
def test_the_fast_pattern_misses_no_escape(parts):
    text = "".join(parts)
    for leads, once in ((LEADS, False), *((kind, True) for kind in KINDS)):
        quick = Escapes(text, leads, once)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(escapes, "_may_begin", matches_everywhere)
            slow = Escapes(text, leads, once)
        assert {n: read for n, read in slow._read.items() if len(read) > 1} == {
            n: read for n, read in quick._read.items() if len(read) > 1
        }
        assert quick.undone()[0] == slow.undone()[0]


@given(st.lists(st.one_of(around, st.builds(encoded, keys, encodings)), max_size=6).map("".join), st.data())
def test_origins_map_decoded_places_to_the_text(text, data):
    """Compared with reading the text character by character."""
    escaped = Escapes(text)
    plain, origins = escaped.undone()
    begins, place = [], 0
    while place < len(text):
        begins.append(place)
        place = max(escaped._at(place), key=escaped._depth)[1]
    assert [origins.begin(n) for n in range(len(plain) + 1)] == [*begins, len(text)]


def letters(pattern: str, text: str) -> str:
    return re.sub(pattern, "", text)


@given(st.text(st.sampled_from(PRINTABLE + "0xX-_\n\0é漢🙂\udc80")), st.integers(1, 12))
def test_blocks_are_decoded_from_all_letters_and_digits(view, shortest):
    """Compared with slow regular expressions."""
    base = letters("[^A-Za-z0-9+/_-]", view).translate(str.maketrans("-_", "+/"))
    digits = letters("0[xX]|[^0-9A-Fa-f]", view)
    expected = []
    for skipped in range(4):
        stream = base[skipped:]
        whole = stream[: len(stream) - (len(stream) % 4 == 1)]
        expected.append(base64.b64decode(whole + "=" * (-len(whole) % 4)))
    expected += [bytes.fromhex(digits[n : n + (len(digits) - n) // 2 * 2]) for n in range(2)]
    printable = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % shortest)
    found = [stretch.decode() for data in expected for stretch in printable.findall(data)]
    assert [block.text for block in (*_base64(view, shortest), *_hexadecimal(view, shortest))] == found


def test_each_character_may_use_another_escape():
    ways = [each("\\u{:04x}"), each("%{:02x}"), each("&#{};"), str, each("%25{:02x}"), each("\\\\u{:04x}")]
    mixed = "".join(ways[n % len(ways)](char) for n, char in enumerate(string.ascii_letters))
    assert without(f"<{mixed}>", string.ascii_letters, "[key]") == "<[key]>"


@pytest.mark.parametrize("part", ["\\", "%25", "&amp;", "\\u005c", "&#x26;", "AAAA", "61", "=3D"])
def test_time_is_linear_in_the_length_of_any_text(part):
    """With quadratic time this test would take hours."""
    text = part * (20_000 // len(part))
    assert without(text, KEY, "[key]") == text
