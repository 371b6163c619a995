"""Text before it is stored, compared or hashed."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preceptor.text import INVISIBLE, LINE_END, SPACE, TRAILING, digest, folded, normalise, repair

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
STORABLE = st.text(st.characters(codec="utf-8"))


def test_repair_replaces_lone_surrogates_and_nothing_else():
    assert repair("a\ud800b\udfff\u2028\x85\U0001f600") == "a\ufffdb\ufffd\u2028\x85\U0001f600"


@given(ANY_TEXT)
def test_repaired_text_can_be_stored_and_keeps_its_length(text):
    repaired = repair(text)
    assert repaired.encode().decode() == repaired
    assert len(repaired) == len(text)


@given(STORABLE)
def test_repair_leaves_storable_text_alone(text):
    assert repair(text) == text


@given(ANY_TEXT | st.text("a\x1f \t\x0b\x0c\r\n", max_size=12))
def test_text_in_ascii_is_evened_out_as_any_other(text):
    seen = SPACE.sub(" ", INVISIBLE.sub("", LINE_END.sub("\n", unicodedata.normalize("NFC", text))))
    assert normalise(text) == unicodedata.normalize("NFC", TRAILING.sub("", seen).strip())


SAME = {
    "accents composed or not": ("e\u0301", "\u00e9"),
    "one letter with two code points": ("5 \u212b", "5 \u00c5"),
    "line ends": ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
    "blanks around the text": (" \n\u3000a ", "a"),
    "blanks behind a line": ("a \t\nb", "a\nb"),
    "blanks that look alike": ("a\u00a0b\u202fc", "a b c"),
    "characters that cannot be seen": ("\ufeffa\u200bb\u2060c\u00ad\u200e\u200f\u061c", "abc"),
}
OTHER = {
    "a power": ("What is 5²?", "What is 52?"),
    "an index": ("x₁", "x1"),
    "a fraction": ("1½", "11/2"),
    "a number in a circle": ("①", "1"),
    "a unit": ("㎏", "kg"),
    "a name": ("Polish", "polish"),
    "an abbreviation": ("US", "us"),
    "a capital": ("What does X stand for?", "What does x stand for?"),
    "sharp s": ("in Maßen", "in Massen"),
    "dotless i": ("ılık", "ilik"),
    "indentation": ("if a:\n  b\nc", "if a:\n  b\n  c"),
    "blanks in a line": ("split 'a  b'", "split 'a b'"),
    "lines": ("a\nb", "a b"),
    "joiners": ("\U0001f469\u200d\U0001f466", "\U0001f469\U0001f466"),
    "blanks or none": ("a b", "ab"),
    "punctuation": ("a.", "a"),
    "order": ("a b", "b a"),
    "an accent": ("é", "e"),
    "an override of the direction": ("a\u202eb", "ab"),
    "digits of another script": ("٣", "3"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_texts_that_look_the_same_normalise_alike(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_texts_that_say_something_else_do_not(one, other):
    assert normalise(one) != normalise(other)


@given(STORABLE)
def test_whatever_a_printer_prints_survives_normalising(text):
    """Independent of the code: of composed text only blanks, line ends and invisible characters may go."""
    composed = unicodedata.normalize("NFC", text)
    visible = [
        c for c in composed if not c.isspace() and c not in "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff"
    ]
    assert unicodedata.normalize("NFC", "".join(visible)) == unicodedata.normalize(
        "NFC", "".join(c for c in normalise(text) if not c.isspace())
    )


def test_the_folded_form_never_changes_because_stored_ids_are_made_of_it():
    assert folded("What  is 5²,\nSTRASSE \u1f88\u0304ﬁ") == "what is 52, strasse \u1f00\u1fd1fi"


@given(STORABLE)
@example("e\u200b\u0301")  # without what stands between them the two can be composed
def test_normalising_twice_is_normalising_once(text):
    assert normalise(normalise(text)) == normalise(text)


@given(STORABLE)
def test_canonically_equal_texts_normalise_alike(text):
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(text)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.data())
def test_digest_tells_every_split_of_a_text_apart(text, data):
    first, second = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True))
    splits = [(text[:cut], text[cut:]) for cut in (first, second)]
    assert len({digest(*split) for split in (*splits, (text,), (text, "", ""))}) == 4


def test_digest_never_changes_because_stored_ids_are_made_of_it():
    assert digest() == "e3b0c44298fc1c14"  # SHA-256 of nothing
    assert digest("a", "bé") == "3b75bacc19ab2d50"
